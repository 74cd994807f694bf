/* The functions of the process's own OpenSSL (3.x) that the kernels use, found by name. Signatures: docs.openssl.org/3.5/man3. */
#ifndef HF_OPENSSL_H
#define HF_OPENSSL_H

#include <stddef.h>

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_md_st EVP_MD;

#define HF_EVP_CTRL_AEAD_GET_TAG 0x10
#define HF_EVP_CTRL_AEAD_SET_TAG 0x11

typedef struct {
  EVP_CIPHER_CTX *(*cipher_ctx_new)(void);
  void (*cipher_ctx_free)(EVP_CIPHER_CTX *);
  int (*cipher_ctx_ctrl)(EVP_CIPHER_CTX *, int, int, void *);
  const EVP_CIPHER *(*aes_256_gcm)(void);
  EVP_CIPHER *(*cipher_fetch)(void *, const char *, const char *);
  int (*encrypt_init)(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *, const unsigned char *, const unsigned char *);
  int (*encrypt_update)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
  int (*encrypt_final)(EVP_CIPHER_CTX *, unsigned char *, int *);
  int (*decrypt_init)(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *, const unsigned char *, const unsigned char *);
  int (*decrypt_update)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
  int (*decrypt_final)(EVP_CIPHER_CTX *, unsigned char *, int *);
  EVP_MD_CTX *(*md_ctx_new)(void);
  void (*md_ctx_free)(EVP_MD_CTX *);
  const EVP_MD *(*sha1)(void);
  const EVP_MD *(*sha256)(void);
  int (*digest_init)(EVP_MD_CTX *, const EVP_MD *, void *);
  int (*digest_update)(EVP_MD_CTX *, const void *, size_t);
  int (*digest_final)(EVP_MD_CTX *, unsigned char *, unsigned int *);
} hf_openssl;

/* NULL when one of them is not there. */
const hf_openssl *hf_openssl_find(void);

#endif
