/* SPDX-License-Identifier: Apache-2.0 */
/* The module, its slots and tokens, and what they say that they can do. Nobody logs in. */
#include "doctor/bundle_private.h"

#include "identity/program.h"
#include "p11/token.h"

#include <limits.h>

enum { MECHANISMS_MAX = 4096 };

/* Texts of the standard's fixed length, which may hold anything: bytes beyond ASCII are shown as '?'. */
static json_t *text_json(const void *field, size_t len)
{
  char text[65];
  const unsigned char *bytes = field;
  len = p11_text_len(bytes, len);
  len = len < sizeof(text) ? len : sizeof(text) - 1;
  for (size_t i = 0; i < len; i++)
    text[i] = (char)(bytes[i] < 0x80 ? bytes[i] : '?');
  return json_stringn(text, len);
}

static json_t *string_json(const char *text)
{
  return text_json(text, strlen(text));
}

static json_t *hex_json(unsigned long number)
{
  return json_sprintf("0x%lx", number);
}

static json_t *mechanisms_json(struct p11_module *module, CK_SLOT_ID slot)
{
  CK_FUNCTION_LIST *f = p11_module_functions(module);
  json_t *list = json_array();
  CK_ULONG count = 0;
  if (f->C_GetMechanismList(slot, NULL, &count) != CKR_OK || count == 0 || count > MECHANISMS_MAX)
    return list;
  HF_CLEANUP(hf_freep) CK_MECHANISM_TYPE *types = calloc(count, sizeof(*types));
  if (!types || f->C_GetMechanismList(slot, types, &count) != CKR_OK)
    return list;
  for (CK_ULONG i = 0; i < count; i++) {
    CK_MECHANISM_INFO info;
    if (f->C_GetMechanismInfo(slot, types[i], &info) == CKR_OK)
      json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:o}", "type", hex_json(types[i]), "min",
                                            (json_int_t)info.ulMinKeySize, "max", (json_int_t)info.ulMaxKeySize,
                                            "flags", hex_json(info.flags)));
  }
  return list;
}

static json_t *token_json(struct p11_module *module, const struct p11_token *token)
{
  return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "slot", (json_int_t)token->slot,
                   "label", string_json(token->label), "manufacturer", string_json(token->manufacturer), "model",
                   string_json(token->model), "serial", string_json(token->serial), "slot_description",
                   string_json(token->slot_description), "flags", hex_json(token->flags), "pin_min",
                   (json_int_t)token->pin_min, "pin_max", (json_int_t)token->pin_max, "hardware",
                   json_sprintf("%d.%d", token->hardware.major, token->hardware.minor), "firmware",
                   json_sprintf("%d.%d", token->firmware.major, token->firmware.minor), "mechanisms",
                   mechanisms_json(module, token->slot));
}

static hf_err describe(struct p11_module *module, json_t *document)
{
  CK_INFO info;
  size_t count = 0, trouble_count = 0;
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  HF_CLEANUP(hf_freep) struct p11_trouble *troubles = NULL;
  HF_TRY(p11_module_info(module, &info));
  json_object_set_new(document, "library", text_json(info.libraryDescription, sizeof(info.libraryDescription)));
  json_object_set_new(document, "manufacturer", text_json(info.manufacturerID, sizeof(info.manufacturerID)));
  json_object_set_new(document, "version", json_sprintf("%d.%d", info.libraryVersion.major, info.libraryVersion.minor));
  json_object_set_new(document, "cryptoki",
                      json_sprintf("%d.%d", info.cryptokiVersion.major, info.cryptokiVersion.minor));
  HF_TRY(p11_token_list(module, &tokens, &count));
  HF_TRY(p11_trouble_list(module, &troubles, &trouble_count));
  for (size_t i = 0; i < count; i++)
    json_array_append_new(json_object_get(document, "tokens"), token_json(module, &tokens[i]));
  for (size_t i = 0; i < trouble_count; i++)
    json_array_append_new(json_object_get(document, "troubles"),
                          json_pack("{s:I, s:s, s:s}", "slot", (json_int_t)troubles[i].slot, "code",
                                    hf_err_name(troubles[i].error), "text", troubles[i].text));
  return HF_OK;
}

hf_err bundle_token(struct bundle *b, struct hf_buf *out)
{
  char path[PATH_MAX];
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  if (!b->config && !b->options->module_path)
    return hf_fail(HF_ERR_CONFIG, "which module it is, is not known");
  HF_TRY(program_module(b->config, b->options->module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &module));
  json_t *document = json_pack("{s:s, s:[], s:[]}", "module", path, "tokens", "troubles");
  hf_err e = document ? describe(module, document) : hf_fail(HF_ERR_NO_MEMORY, "the tokens");
  if (hf_failed(e)) {
    json_decref(document);
    return e;
  }
  return bundle_add_json(b, document, out);
}
