/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way through the signing service. Inside src/agent/sign_*.c only. */
#ifndef HF_AGENT_SIGN_CALL_H
#define HF_AGENT_SIGN_CALL_H

#include "agent/sign_service.h"
#include "wire/frame.h"

/* What clients look for in an Error's text. */
#define SIGN_TEXT_FRAME "Failed to parse the received frame"
#define SIGN_TEXT_SLOT "Didn't find a slot to use"
#define SIGN_TEXT_KEY "Failed to find a key"
#define SIGN_TEXT_SIGNING_KEY "Failed to find a signing key"
#define SIGN_TEXT_SCHEME "failed to choose scheme"
#define SIGN_TEXT_PIN "The specified PIN is incorrect"
#define SIGN_TEXT_DIRECTION "invalid request"
#define SIGN_TEXT_SERVICE "PKCS #11 service failed: "

struct sign_call {
  struct agent *agent;
  const struct peer *peer;
  struct wire_frame request, response;
  struct sign_kept *kept; /* what the response's texts point at */
  const char *doing;      /* what clients look for in front of the reason; static; NULL: nothing */
  struct hf_secret *pin;  /* the request's own; NULL: none */
  const char *uri;        /* the request's own, or NULL */
  struct hf_buf uri_text;
  /* For the audit line. */
  enum policy_op op;
  bool asked;
  struct policy_answer answer;
  struct hf_buf key;
};

/* A frame's row: what it does. Fills in call->response. */
typedef hf_err (*sign_act_fn)(struct sign_call *call);

/* sign_key.c */
hf_err sign_choose_scheme(struct sign_call *call);
hf_err sign_sign(struct sign_call *call);
hf_err sign_public_key(struct sign_call *call);
/* sign_admin.c */
hf_err sign_create_key(struct sign_call *call);
hf_err sign_delete_key(struct sign_call *call);
hf_err sign_init_token(struct sign_call *call);
hf_err sign_change_pin(struct sign_call *call);
/* sign_list.c */
hf_err sign_tokens_uris(struct sign_call *call);
hf_err sign_list_tokens(struct sign_call *call);
hf_err sign_list_keys(struct sign_call *call);

/* Asks policy, for the audit line too. Fails with PERMISSION, naming the rule to add. */
hf_err sign_ask(struct sign_call *call, enum policy_op op, const struct uri *key);
/* The same for one item of a listing: *ret_shown tells whether it may be shown. */
hf_err sign_ask_item(struct sign_call *call, const struct uri *key, bool *ret_shown);
/* The end of a listing: fails with PERMISSION where there was something, and none of it may be shown. */
hf_err sign_ask_end(struct sign_call *call);

void sign_kept_free(struct sign_kept *kept);
/* Copies a text that the response will point at. */
hf_err sign_keep(struct sign_call *call, const void *data, size_t len, struct wire_text *ret_text);
/* The same for a text that may not be UTF-8: what is not becomes '?'. */
hf_err sign_keep_text(struct sign_call *call, const char *text, size_t len, struct wire_text *ret_text);
/* The URI in the protocol's own form. */
hf_err sign_keep_uri(struct sign_call *call, const struct uri *uri, struct wire_text *ret_text);
/* One more item in the response; the pointer is good until the next. */
hf_err sign_add_item(struct sign_call *call, struct wire_item **ret_item);

/* An Option of a PIN; *ret_secret NULL for None and for an empty one. */
hf_err sign_secret(const struct wire_text *text, struct hf_secret **ret_secret);

/* The PEM that the protocol has for a public key: the bare EC point, or the PKCS#1 RSAPublicKey. */
hf_err sign_pem(const struct p11_public *key, struct hf_buf *out);

#endif
