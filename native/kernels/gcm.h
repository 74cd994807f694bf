/*
 * AES-256-GCM (NIST SP 800-38D) by the OpenSSL that the process has loaded already: node exports its own, so its functions are found
 * by name at run time and there is neither a second copy nor a header to build against. A context keeps its expanded key; another
 * nonce alone costs little.
 */
#ifndef HF_GCM_H
#define HF_GCM_H

#include <stddef.h>
#include <stdint.h>

#define HF_GCM_KEY_BYTES 32
#define HF_GCM_NONCE_BYTES 12
#define HF_GCM_TAG_BYTES 16

/* Whether the process has what is needed. The answer never changes. */
int hf_gcm_available(void);

/* For one direction, and one thread at a time. */
typedef struct hf_gcm hf_gcm;
typedef enum { HF_GCM_SEAL, HF_GCM_OPEN } hf_gcm_direction;

/* NULL without memory, or when not available. */
hf_gcm *hf_gcm_new(hf_gcm_direction direction);
/* Wipes the key. */
void hf_gcm_free(hf_gcm *gcm);

/* Takes a key; nothing happens when it is the one it has. Returns 0 on failure. */
int hf_gcm_set_key(hf_gcm *gcm, const uint8_t key[HF_GCM_KEY_BYTES]);

/* Writes `length` bytes of ciphertext and 16 of tag, in place or elsewhere. Returns 0 on failure, also for the other direction. */
int hf_gcm_seal(hf_gcm *gcm, const uint8_t nonce[HF_GCM_NONCE_BYTES], const uint8_t *plaintext, size_t length, uint8_t *sealed);

/*
 * Opens `length` bytes of ciphertext that are followed by their tag. Returns 0 when the tag is wrong; `plaintext` then holds zeros.
 */
int hf_gcm_open(hf_gcm *gcm, const uint8_t nonce[HF_GCM_NONCE_BYTES], const uint8_t *sealed, size_t length, uint8_t *plaintext);

#endif
