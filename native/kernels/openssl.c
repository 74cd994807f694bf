#include "openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t looked = PTHREAD_ONCE_INIT;
static hf_openssl found;
static int complete;

/* POSIX lets a function's address stand in a void pointer; ISO C has no cast for it. */
static void lookup(void *function, const char *name) {
  void *address = dlsym(RTLD_DEFAULT, name);
  memcpy(function, &address, sizeof address);
  if (address == NULL) complete = 0;
}

static void look(void) {
  complete = 1;
  lookup(&found.cipher_ctx_new, "EVP_CIPHER_CTX_new");
  lookup(&found.cipher_ctx_free, "EVP_CIPHER_CTX_free");
  lookup(&found.cipher_ctx_ctrl, "EVP_CIPHER_CTX_ctrl");
  lookup(&found.aes_256_gcm, "EVP_aes_256_gcm");
  lookup(&found.cipher_fetch, "EVP_CIPHER_fetch");
  lookup(&found.encrypt_init, "EVP_EncryptInit_ex");
  lookup(&found.encrypt_update, "EVP_EncryptUpdate");
  lookup(&found.encrypt_final, "EVP_EncryptFinal_ex");
  lookup(&found.decrypt_init, "EVP_DecryptInit_ex");
  lookup(&found.decrypt_update, "EVP_DecryptUpdate");
  lookup(&found.decrypt_final, "EVP_DecryptFinal_ex");
  lookup(&found.md_ctx_new, "EVP_MD_CTX_new");
  lookup(&found.md_ctx_free, "EVP_MD_CTX_free");
  lookup(&found.sha1, "EVP_sha1");
  lookup(&found.sha256, "EVP_sha256");
  lookup(&found.digest_init, "EVP_DigestInit_ex");
  lookup(&found.digest_update, "EVP_DigestUpdate");
  lookup(&found.digest_final, "EVP_DigestFinal_ex");
}

const hf_openssl *hf_openssl_find(void) {
  pthread_once(&looked, look);
  return complete ? &found : NULL;
}
