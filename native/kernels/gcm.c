#include "gcm.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "openssl.h"
#include "wipe.h"

struct hf_gcm {
  EVP_CIPHER_CTX *context;
  hf_gcm_direction direction;
  uint8_t key[HF_GCM_KEY_BYTES];
  int has_key;
};

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static const EVP_CIPHER *cipher;

/* A fetched algorithm saves a look-up by name at every initialisation. It is kept for the life of the process. */
static void fetch(void) {
  const hf_openssl *ssl = hf_openssl_find();
  if (ssl == NULL) return;
  cipher = ssl->cipher_fetch(NULL, "AES-256-GCM", NULL);
  if (cipher == NULL) cipher = ssl->aes_256_gcm();
}

int hf_gcm_available(void) {
  pthread_once(&fetched, fetch);
  return cipher != NULL;
}

hf_gcm *hf_gcm_new(hf_gcm_direction direction) {
  if (!hf_gcm_available()) return NULL;
  hf_gcm *gcm = calloc(1, sizeof *gcm);
  if (gcm == NULL) return NULL;
  gcm->direction = direction;
  gcm->context = hf_openssl_find()->cipher_ctx_new();
  if (gcm->context != NULL) return gcm;
  free(gcm);
  return NULL;
}

void hf_gcm_free(hf_gcm *gcm) {
  if (gcm == NULL) return;
  hf_openssl_find()->cipher_ctx_free(gcm->context);
  hf_wipe(gcm, sizeof *gcm);
  free(gcm);
}

int hf_gcm_set_key(hf_gcm *gcm, const uint8_t key[HF_GCM_KEY_BYTES]) {
  if (gcm->has_key && memcmp(gcm->key, key, HF_GCM_KEY_BYTES) == 0) return 1;
  const hf_openssl *ssl = hf_openssl_find();
  gcm->has_key = gcm->direction == HF_GCM_SEAL ? ssl->encrypt_init(gcm->context, cipher, NULL, key, NULL) == 1
                                               : ssl->decrypt_init(gcm->context, cipher, NULL, key, NULL) == 1;
  memcpy(gcm->key, key, HF_GCM_KEY_BYTES);
  return gcm->has_key;
}

int hf_gcm_seal(hf_gcm *gcm, const uint8_t nonce[HF_GCM_NONCE_BYTES], const uint8_t *plaintext, size_t length, uint8_t *sealed) {
  const hf_openssl *ssl = hf_openssl_find();
  int written = 0;
  int rest = 0;
  if (!gcm->has_key || gcm->direction != HF_GCM_SEAL || length > INT_MAX) return 0;
  return ssl->encrypt_init(gcm->context, NULL, NULL, NULL, nonce) == 1 &&
         (length == 0 || ssl->encrypt_update(gcm->context, sealed, &written, plaintext, (int)length) == 1) &&
         ssl->encrypt_final(gcm->context, sealed + written, &rest) == 1 &&
         ssl->cipher_ctx_ctrl(gcm->context, HF_EVP_CTRL_AEAD_GET_TAG, HF_GCM_TAG_BYTES, sealed + length) == 1;
}

int hf_gcm_open(hf_gcm *gcm, const uint8_t nonce[HF_GCM_NONCE_BYTES], const uint8_t *sealed, size_t length, uint8_t *plaintext) {
  const hf_openssl *ssl = hf_openssl_find();
  int written = 0;
  int rest = 0;
  if (!gcm->has_key || gcm->direction != HF_GCM_OPEN || length > INT_MAX) return 0;
  void *tag = (void *)(uintptr_t)(sealed + length);
  uint8_t nothing[HF_GCM_TAG_BYTES];
  uint8_t *end = length > 0 ? plaintext + length : nothing;
  int opened = ssl->decrypt_init(gcm->context, NULL, NULL, NULL, nonce) == 1 &&
               ssl->cipher_ctx_ctrl(gcm->context, HF_EVP_CTRL_AEAD_SET_TAG, HF_GCM_TAG_BYTES, tag) == 1 &&
               (length == 0 || ssl->decrypt_update(gcm->context, plaintext, &written, sealed, (int)length) == 1) &&
               ssl->decrypt_final(gcm->context, end, &rest) == 1;
  if (!opened && length > 0) memset(plaintext, 0, length);
  return opened;
}
