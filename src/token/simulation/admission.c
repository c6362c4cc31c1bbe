/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys and objects the simulated device takes. */
#include "token/simulation/key_name.h"
#include "token/simulation/simulated.h"
#include "token/simulation/simulation.h"
#include "token/token_private.h"

struct census {
  uint64_t keys, objects;
};

static hf_err count_object(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)key;
  struct census *census = arg;
  struct record record;
  HF_TRY(record_parse(value, &record));
  census->objects++;
  census->keys += record.class == CKO_PRIVATE_KEY;
  return HF_OK;
}

static hf_err take_census(struct token *token, struct census *ret_census)
{
  struct store_txn *txn;
  struct census census = { 0, 0 };
  HF_TRY(store_read_begin(token->store, &txn));
  hf_err e = store_scan(txn, STORE_OBJECTS, hf_slice(NULL, 0), count_object, &census);
  store_read_end(txn);
  HF_TRY(e);
  *ret_census = census;
  return HF_OK;
}

static enum hf_code refusal(const struct profile *profile, enum refusal what)
{
  return profile->refuses[what] ? profile->refuses[what] : HF_ERR_DEVICE_MEMORY;
}

static hf_err check_kind(const struct profile *profile, const char *name, bool generated)
{
  const struct profile_key *row = NULL;
  for (size_t i = 0; i < profile->key_count; i++)
    if (word_matches_key(profile->keys[i].name, name))
      row = &profile->keys[i];
  if (profile->key_count == 0 || (row && (generated ? row->generate : row->import)))
    return HF_OK;
  return hf_fail(refusal(profile, row ? REFUSE_IMPORT : REFUSE_KEY), "simulated: a %s does not %s %s keys",
                 profile->name, generated ? "make" : "take", name);
}

hf_err simulation_generate(struct token *token, const struct attrs *public)
{
  char name[WORD_KEY];
  struct simulated *simulated = token->simulated;
  if (!simulated)
    return HF_OK;
  key_name(public, name);
  /* What is no key at all is for the mechanism to refuse. */
  if (name[0] && strcmp(name, "RSA-0") != 0)
    HF_TRY(check_kind(&simulated->settings->profile, name, true));
  return simulated_work(simulated, "C_GenerateKeyPair", name, 0);
}

/* Places are numbered: a CKA_ID of one byte. 0: it is none. */
static uint8_t place_of(const struct attrs *open)
{
  struct hf_slice id;
  return attrs_get(open, CKA_ID, &id) && id.len == 1 ? id.data[0] : 0;
}

static hf_err check_place(const struct profile *profile, struct attrs *open)
{
  uint8_t place = place_of(open);
  if (profile->authenticate && place == profile->authenticate)
    HF_TRY(attrs_set_bool(open, CKA_ALWAYS_AUTHENTICATE, true));
  if (!profile->id_max || (place >= profile->id_min && place <= profile->id_max))
    return HF_OK;
  return hf_hint(hf_fail(refusal(profile, REFUSE_ID), "simulated: a %s keeps its keys in places %u to %u",
                         profile->name, profile->id_min, profile->id_max),
                 "Give the key an id that is a place: --id %02x to %02x.", profile->id_min, profile->id_max);
}

static hf_err check_private_key(const struct profile *profile, struct attrs *open)
{
  char name[WORD_KEY];
  key_name(open, name);
  HF_TRY(check_kind(profile, name, attrs_true(open, CKA_LOCAL)));
  if (profile->unextractable && attrs_true(open, CKA_EXTRACTABLE))
    return hf_fail(refusal(profile, REFUSE_EXTRACTABLE), "simulated: no key leaves a %s", profile->name);
  return attrs_true(open, CKA_TOKEN) ? check_place(profile, open) : HF_OK;
}

static hf_err check_object(const struct profile *profile, struct attrs *open)
{
  CK_OBJECT_CLASS class = attrs_ulong(open, CKA_CLASS, 0);
  if (class == CKO_PRIVATE_KEY)
    HF_TRY(check_private_key(profile, open));
  bool stored = attrs_true(open, CKA_TOKEN);
  if (stored && profile->objects && (class >= 32 || !(profile->objects & (1U << class))))
    return hf_fail(refusal(profile, REFUSE_OBJECT), "simulated: a %s has no place for objects of class 0x%lx",
                   profile->name, class);
  return HF_OK;
}

static hf_err check_room(struct token *token, const struct simulation_settings *settings,
                         const struct attr_halves *halves, size_t count)
{
  const struct limits *limits = &settings->limits;
  struct census census;
  if (!limits->keys && !limits->objects)
    return HF_OK;
  HF_TRY(take_census(token, &census));
  for (size_t i = 0; i < count; i++) {
    bool stored = attrs_true(&halves[i].open, CKA_TOKEN);
    census.objects += stored;
    census.keys += stored && attrs_ulong(&halves[i].open, CKA_CLASS, 0) == CKO_PRIVATE_KEY;
  }
  bool fits = (!limits->keys || census.keys <= limits->keys) && (!limits->objects || census.objects <= limits->objects);
  return fits ? HF_OK
              : hf_hint(hf_fail(refusal(&settings->profile, REFUSE_FULL), "simulated: room for %u keys, %u objects",
                                limits->keys, limits->objects),
                        "Delete what is no longer needed: 'holdfast key delete'.");
}

hf_err simulation_add(struct token *token, struct attr_halves *halves, size_t count)
{
  const struct simulated *simulated = token->simulated;
  if (!simulated)
    return HF_OK;
  for (size_t i = 0; i < count; i++)
    HF_TRY(check_object(&simulated->settings->profile, &halves[i].open));
  return check_room(token, simulated->settings, halves, count);
}
