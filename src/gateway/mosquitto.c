/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mosquitto.h"

#include "base/process.h"
#include "gateway/broker_child.h"

enum { TIMEOUT_S = 5, OUTPUT_MAX = 64 * 1024 };

hf_err mosquitto_version(char *out, size_t size)
{
  static const char mark[] = "mosquitto version ";
  const char *const argv[] = { broker_child_program(), "-h", NULL };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(OUTPUT_MAX);
  int status;
  hf_err e = hf_process_run(argv, TIMEOUT_S, &text, &status);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "mosquitto, the local MQTT broker"),
                   "Install it ('apt-get install mosquitto'), or set mqtt.broker to external and use another broker.");
  HF_TRY(e);
  const char *at = hf_buf_str(&text) ? strstr(hf_buf_str(&text), mark) : NULL;
  if (!at)
    return hf_fail(HF_ERR_PARSE, "what %s says of itself", argv[0]);
  at += sizeof(mark) - 1;
  snprintf(out, size, "%.*s", (int)strcspn(at, " \r\n"), at);
  return HF_OK;
}
