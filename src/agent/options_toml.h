/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of thin-edge.io's tedge.toml that its own server read: [device.cryptoki]. No more of TOML than it takes. */
#ifndef HF_AGENT_OPTIONS_TOML_H
#define HF_AGENT_OPTIONS_TOML_H

#include "base/buf.h"

/* X(field, key) */
#define OPTIONS_TOML_TABLE(X)   \
  X(MODULE_PATH, "module_path") \
  X(PIN, "pin")                 \
  X(URI, "uri")                 \
  X(SOCKET_PATH, "socket_path")

enum options_toml_key {
#define OPTIONS_TOML_ENUM(id, key) OPTIONS_TOML_##id,
  OPTIONS_TOML_TABLE(OPTIONS_TOML_ENUM)
#undef OPTIONS_TOML_ENUM
      OPTIONS_TOML_COUNT
};

struct options_toml {
  struct hf_buf text; /* what the values point into; may hold a PIN */
  char *values[OPTIONS_TOML_COUNT];
};

/* A file that is absent says nothing. Fails with CONFIG and names the line where a value of ours is no string. */
hf_err options_toml_read(const char *path, struct options_toml *ret_toml);
void options_toml_free(struct options_toml *toml);

#endif
