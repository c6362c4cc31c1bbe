/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Greengrass file, whatever it holds: each value that it leads to is one that our own row allows, each problem has a line of the text,
 * and no key that lies in a file becomes the device's.
 */
#include "config/check.h"
#include "config/greengrass.h"
#include "config/json_line.h"
#include "uri/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count_lines(const uint8_t *data, size_t size)
{
  unsigned lines = 1;
  for (size_t i = 0; i < size; i++)
    lines += data[i] == '\n';
  return lines;
}

static void check(const struct greengrass *gg, unsigned lines)
{
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
    const char *value = greengrass_get(gg, key);
    if (value && config_check(config_row(key), value))
      abort();
  }
  const char *uri = greengrass_get(gg, CONFIG_DEVICE_KEY_URI);
  if (uri && !uri_is_pkcs11(uri))
    abort();
  unsigned before = 1;
  for (size_t i = 0; i < greengrass_problem_count(gg); i++) {
    unsigned line = greengrass_problem(gg, i)->line;
    if (line < before || line > lines)
      abort();
    before = line;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  unsigned lines = count_lines(data, size), line = json_line(hf_slice(data, size), "crypto.principals.IoTCertificate");
  if (line < 1 || line > lines)
    abort();
  json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
  HF_CLEANUP(greengrass_freep) struct greengrass *gg = NULL;
  if (json_is_object(root) && greengrass_is(root) &&
      !hf_failed(greengrass_read(root, hf_slice(data, size), "/greengrass/config/config.json", &gg)))
    check(gg, lines);
  json_decref(root);
  return 0;
}
