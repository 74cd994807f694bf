/*
 * CRC-32 (zlib, reflected 0xEDB88320), CRC-32C (RFC 3720, reflected 0x82F63B78) and CRC-64/NVME (reflected 0x9A6C9329AC4BC9B5). Values
 * are finished ones: 0 for no bytes, and hf_crcXX(hf_crcXX(0, a), b) is the CRC of a followed by b.
 */
#ifndef HF_CRC_H
#define HF_CRC_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

void hf_crc_select(hf_level level);

uint32_t hf_crc32(uint32_t crc, const uint8_t *bytes, size_t length);
uint32_t hf_crc32c(uint32_t crc, const uint8_t *bytes, size_t length);
uint64_t hf_crc64nvme(uint64_t crc, const uint8_t *bytes, size_t length);

/* The CRC of two parts one behind the other, from their CRCs and the length of the second. */
uint32_t hf_crc32_combine(uint32_t first, uint32_t second, uint64_t second_length);
uint32_t hf_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_length);
uint64_t hf_crc64nvme_combine(uint64_t first, uint64_t second, uint64_t second_length);

#endif
