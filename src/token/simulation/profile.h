/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a simulated device is: the mechanisms, kinds of keys and room that it has, how long it takes, what it says of itself, and
 * what it answers where it refuses. A file of lines like the token's configuration, or one that is built in:
 *
 *   mechanism = CKM_ECDSA CKM_ECDSA_SHA256 256-384 sign verify hw
 *   key = P-256 RSA-2048 generate import
 *   limits = sessions=16, keys=24, objects=64, pin=6-8, tries=3
 *   latency = C_Sign/P-256=30ms-50ms, C_Login=40ms
 */
#ifndef HF_TOKEN_SIMULATION_PROFILE_H
#define HF_TOKEN_SIMULATION_PROFILE_H

#include "token/simulation/latency.h"
#include "token/simulation/plan.h"

enum { PROFILE_MECHANISMS_MAX = 128, PROFILE_KEYS_MAX = 24, PROFILE_NAME_MAX = 64, PROFILE_MAX_BYTES = 64 * 1024 };

/* 0: as the token has it. */
struct limits {
  uint32_t sessions; /* open in a process */
  uint32_t keys;     /* private keys in the token */
  uint32_t objects;  /* of any class in the token */
  uint32_t pin_min, pin_max;
  uint32_t tries; /* wrong PINs until it locks */
};

/* "sessions=4, keys=3, pin=6-8": sets those that it names. Fails with PARSE. */
hf_err limits_parse(const char *text, struct limits *limits);

struct profile_mechanism {
  CK_MECHANISM_TYPE type;
  CK_ULONG min, max;   /* key sizes; 0 and 0: the token's own */
  CK_FLAGS does, adds; /* what it is good for (0: what the token's own is), and flags besides */
};

struct profile_key {
  char name[WORD_KEY]; /* "RSA", "P-256" */
  bool generate, import;
};

/* What it may refuse. */
enum refusal {
  REFUSE_KEY,
  REFUSE_IMPORT,
  REFUSE_OBJECT,
  REFUSE_ID,
  REFUSE_EXTRACTABLE,
  REFUSE_FULL,
  REFUSE_SESSION,
  REFUSALS
};

struct profile {
  char name[PROFILE_NAME_MAX];
  char manufacturer[33], model[17], slot[65];
  CK_VERSION firmware;
  bool has_mechanisms; /* otherwise the token's own */
  struct profile_mechanism mechanisms[PROFILE_MECHANISMS_MAX];
  size_t mechanism_count;
  struct profile_key keys[PROFILE_KEYS_MAX];
  size_t key_count;       /* 0: any that the token can make */
  unsigned objects;       /* bits 1 << CKO_...: the classes that it stores; 0: any */
  uint8_t id_min, id_max; /* one byte; 0 and 0: any id */
  uint8_t authenticate;   /* the key with this id wants the PIN for each use; 0: none */
  bool unextractable;     /* no key leaves it */
  bool queue;             /* one operation at a time, of all processes */
  bool removable;
  enum hf_code refuses[REFUSALS];
  struct limits limits;
  struct latency latency;
  struct plan plan;
};

/* Resolves a mechanism's name; false where the token has none such, which is passed over. */
typedef bool (*profile_mechanism_fn)(const char *name, CK_MECHANISM_TYPE *ret_type);

/* A built-in one by its name, else a file by its path (with a slash). Fails with CONFIG, which names the line. */
hf_err profile_load(const char *name, profile_mechanism_fn mechanism_of, struct profile *ret_profile);

/* The same out of a text, which is cut up; path names it in errors. */
hf_err profile_parse(const char *path, char *text, profile_mechanism_fn mechanism_of, struct profile *ret_profile);

/* profiles.c: the built-in ones; NULL past the end. */
struct profile_text {
  const char *name;
  const char *text;
};
const struct profile_text *profile_built_in(size_t i);

/* Its row for a mechanism; NULL where it does not offer that. */
const struct profile_mechanism *profile_mechanism(const struct profile *profile, CK_MECHANISM_TYPE type);

#endif
