/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration that parses keeps to the limits that its header names. */
#include "base/log.h"
#include "token/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool mechanism_of(const char *name, CK_MECHANISM_TYPE *ret_type)
{
  *ret_type = strlen(name);
  return strncmp(name, "CKM_", 4) == 0;
}

static bool within(uint32_t value, uint32_t min, uint32_t max)
{
  return value >= min && value <= max;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(1 << 16);
  struct token_conf conf = { .path = "fuzz", .pin_tries = 10, .kdf_memory = 8, .kdf_passes = 1 };
  hf_log_set_level(HF_LOG_ERROR);
  if (hf_failed(hf_buf_add(&text, data, size)) || hf_failed(conf_parse(&text, mechanism_of, &conf)))
    return 0;
  if (!within(conf.pin_tries, 2, 255) || !within(conf.kdf_memory, 8, 1 << 20) || !within(conf.kdf_passes, 1, 1000) ||
      conf.umask > 0777 || conf.mechanism_count > CONF_MECHANISMS_MAX || conf.log_level > HF_LOG_DEBUG ||
      strnlen(conf.tokendir, sizeof(conf.tokendir)) == sizeof(conf.tokendir))
    abort();
  for (CK_MECHANISM_TYPE type = 0; type < 64; type++)
    (void)conf_allows(&conf, type);
  return 0;
}
