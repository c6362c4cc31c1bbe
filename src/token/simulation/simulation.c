/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/simulation.h"

#include "base/cleanup.h"
#include "token/session.h"
#include "token/simulation/key_name.h"
#include "token/simulation/simulated.h"

/* How long a hang overlooks that it is over. */
#define HANG_NS 5000000

enum { ROWS_MAX = PROFILE_MECHANISMS_MAX };

bool simulation_on;

static const struct simulation_settings *settings;

/* The profile's rows: the token's with other sizes and flags. */
static struct {
  struct mech rows[ROWS_MAX];
  size_t count;
} offered;

/* The signature of the call that is under way in this thread is to be wrong. */
static _Thread_local bool corrupt;

void simulation_start(const struct token_conf *conf)
{
  settings = &conf->simulation;
  simulation_on = settings->enabled;
  offered.count = 0;
  if (simulation_on)
    simulated_sleep(simulation_settings_latency(settings, "C_Initialize", "", 0));
}

bool simulation_unplugged(const struct token *token)
{
  const struct simulated *simulated = token_simulated(token);
  return simulated && board_unplugged(simulated->board);
}

/* A call, and what the plan does to it. */
struct call {
  const char *function;
  struct slot *slot;
  struct token *token;
  struct simulated *simulated;
  CK_SESSION_HANDLE session; /* 0: a slot's call */
  uint64_t slowness;
  uint64_t clears; /* the board's, when the call began */
};

static hf_err removed(const struct call *call)
{
  return call->session
             ? hf_fail(HF_ERR_DEVICE_REMOVED, "the simulated token in slot %lu", slot_id(call->slot))
             : hf_fail(HF_ERR_TOKEN_NOT_PRESENT, "the simulated token in slot %lu is unplugged", slot_id(call->slot));
}

/* Whoever sees first that the token was pulled closes this process's sessions; the others wait for it. */
static hf_err check_presence(const struct call *call)
{
  struct simulated *simulated = call->simulated;
  uint64_t removals = board_removals(simulated->board);
  hf_err e = HF_OK;
  if (simulated->removals != removals) {
    pthread_mutex_lock(&simulated->lock);
    if (simulated->removals != removals)
      e = session_close_all(call->slot);
    simulated->removals = removals;
    pthread_mutex_unlock(&simulated->lock);
  }
  HF_TRY(e);
  return board_unplugged(simulated->board) ? removed(call) : HF_OK;
}

static hf_err answer(struct call *call, const struct strike *strike)
{
  (void)call;
  return hf_fail(strike->fault->code, "simulated: %s", strike->fault->text);
}

static hf_err unplug(struct call *call, const struct strike *strike)
{
  board_unplug(call->simulated->board, strike->until ? strike->until : BOARD_FOREVER);
  return check_presence(call);
}

static hf_err lose_session(struct call *call, const struct strike *strike)
{
  if (!call->session)
    return HF_OK;
  hf_ignore(session_close(call->session));
  return answer(call, strike);
}

static hf_err log_out(struct call *call, const struct strike *strike)
{
  (void)strike;
  hf_ignore(token_logout(call->token));
  sessions_forget_private(call->token);
  return HF_OK;
}

static hf_err slow_down(struct call *call, const struct strike *strike)
{
  call->slowness += strike->fault->slowness;
  return HF_OK;
}

/* Until its time is over, all faults are switched off, or the token is pulled. */
static hf_err hang(struct call *call, const struct strike *strike)
{
  const struct board *board = call->simulated->board;
  while (board_clears(board) == call->clears && (strike->until == 0 || board_now() < strike->until)) {
    if (!simulated_sleep(HANG_NS))
      return hf_fail(HF_ERR_FUNCTION_CANCELED, "simulated: %s", strike->fault->text);
    HF_TRY(check_presence(call));
  }
  return HF_OK;
}

static hf_err spoil(struct call *call, const struct strike *strike)
{
  (void)call;
  (void)strike;
  corrupt = true;
  return HF_OK;
}

static hf_err act(const struct strike *strike, void *arg)
{
  static hf_err (*const acts[])(struct call * call, const struct strike *strike) = {
    [FAULT_ANSWER] = answer,      [FAULT_UNPLUG] = unplug,  [FAULT_SESSION_LOST] = lose_session,
    [FAULT_LOGGED_OUT] = log_out, [FAULT_SLOW] = slow_down, [FAULT_HANG] = hang,
    [FAULT_CORRUPT] = spoil,
  };
  return acts[strike->fault->kind](arg, strike);
}

/* What is made is known to nobody here; simulation_generate has the key, and takes the time. */
static bool times_itself(const char *function)
{
  return strcmp(function, "C_GenerateKeyPair") == 0;
}

static hf_err run_call(struct call *call, const char *key)
{
  corrupt = false;
  if (!(call->simulated = token_simulated(call->token)))
    return HF_OK;
  call->clears = board_clears(call->simulated->board);
  HF_TRY(check_presence(call));
  HF_TRY(simulated_strikes(call->simulated, call->function, act, call));
  if (times_itself(call->function))
    return simulated_sleep(call->slowness) ? HF_OK : hf_fail(HF_ERR_FUNCTION_CANCELED, "%s", call->function);
  HF_TRY(simulated_work(call->simulated, call->function, key, call->slowness));
  /* It may have been pulled as it worked. */
  return check_presence(call);
}

static hf_err check_session_count(const struct call *call)
{
  uint32_t most = settings->limits.sessions;
  if (strcmp(call->function, "C_OpenSession") != 0 || !most || sessions_open(call->slot, false) < most)
    return HF_OK;
  enum hf_code code = settings->profile.refuses[REFUSE_SESSION];
  return hf_fail(code ? code : HF_ERR_SESSION_COUNT, "simulated: %u sessions are open", most);
}

/* Functions of v3.0 and later are only in tables, and have our prefix. */
static const char *standard_name(const char *function)
{
  static const char prefix[] = "abi_";
  return strncmp(function, prefix, sizeof(prefix) - 1) == 0 ? function + sizeof(prefix) - 1 : function;
}

hf_err simulation_slot_call(const char *function, CK_SLOT_ID id)
{
  struct call call = { .function = function };
  HF_TRY(library_slot(id, &call.slot));
  /* A slot is there without a token, and tells so. */
  if (strcmp(function, "C_GetSlotInfo") == 0 || hf_failed(slot_token(call.slot, &call.token)))
    return HF_OK;
  HF_TRY(run_call(&call, ""));
  return check_session_count(&call);
}

static const struct {
  const char *function;
  enum op_kind kind;
} operations[] = {
  { "C_Sign", OP_SIGN },           { "C_SignUpdate", OP_SIGN },       { "C_Verify", OP_VERIFY },
  { "C_VerifyUpdate", OP_VERIFY }, { "C_Encrypt", OP_ENCRYPT },       { "C_EncryptUpdate", OP_ENCRYPT },
  { "C_Decrypt", OP_DECRYPT },     { "C_DecryptUpdate", OP_DECRYPT }, { "C_Digest", OP_DIGEST },
  { "C_DigestUpdate", OP_DIGEST },
};

/* The operation that the function goes on with; NULL where it does not, or none is active. */
static struct op *operation_of(struct session *session, const char *function)
{
  const char *whole = word_whole_function(function);
  for (size_t i = 0; i < HF_ARRAY_LEN(operations); i++)
    if (strcmp(operations[i].function, whole) == 0 && session->ops[operations[i].kind].active)
      return &session->ops[operations[i].kind];
  return NULL;
}

/* A call that fails ends its operation (PKCS #11 v3.0, section 5.2). */
static void end_operation(const struct call *call)
{
  struct session *session;
  if (hf_failed(session_acquire(call->session, &session)))
    return;
  struct op *op = operation_of(session, call->function);
  if (op)
    op_free(op);
  session_release(session);
}

hf_err simulation_session_call(const char *function, CK_SESSION_HANDLE handle)
{
  struct session *session;
  char key[WORD_KEY] = "";
  HF_TRY(session_acquire(handle, &session));
  struct call call = {
    .function = standard_name(function), .slot = session->slot, .token = session->token, .session = handle
  };
  const struct op *op = operation_of(session, call.function);
  if (op && op->object)
    key_name(object_attrs(op->object), key);
  session_release(session);
  hf_err e = run_call(&call, key);
  if (hf_failed(e)) {
    struct hf_err_saved saved = hf_err_save(e);
    end_operation(&call);
    return hf_err_restore(&saved);
  }
  return HF_OK;
}

void simulation_result(void *out, const CK_ULONG *len)
{
  if (corrupt && out && *len)
    ((uint8_t *)out)[*len - 1] ^= 1;
  corrupt = false;
}

const struct mech *simulation_mech(const struct mech *mech)
{
  static const CK_FLAGS works = CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST | CKF_SIGN | CKF_SIGN_RECOVER | CKF_VERIFY |
                                CKF_VERIFY_RECOVER | CKF_GENERATE | CKF_GENERATE_KEY_PAIR | CKF_WRAP | CKF_UNWRAP |
                                CKF_DERIVE;
  if (!simulation_on || !settings->profile.has_mechanisms)
    return mech;
  const struct profile_mechanism *row = profile_mechanism(&settings->profile, mech->type);
  if (!row || offered.count == ROWS_MAX)
    return NULL;
  struct mech *offer = &offered.rows[offered.count++];
  *offer = *mech;
  if (row->max) {
    offer->info.ulMinKeySize = row->min > mech->info.ulMinKeySize ? row->min : mech->info.ulMinKeySize;
    offer->info.ulMaxKeySize = row->max < mech->info.ulMaxKeySize ? row->max : mech->info.ulMaxKeySize;
  }
  if (row->does)
    offer->info.flags &= row->does | ~works;
  offer->info.flags |= row->adds;
  return offer;
}

static void pad(unsigned char *field, size_t size, const char *text)
{
  if (!text[0])
    return;
  memset(field, ' ', size);
  memcpy(field, text, strnlen(text, size));
}

void simulation_slot_info(struct slot *slot, CK_SLOT_INFO *info)
{
  const struct profile *profile = &settings->profile;
  struct token *token;
  if (!hf_failed(slot_token(slot, &token)) && simulation_unplugged(token))
    info->flags &= ~CKF_TOKEN_PRESENT;
  pad(info->slotDescription, sizeof(info->slotDescription), profile->slot);
  pad(info->manufacturerID, sizeof(info->manufacturerID), profile->manufacturer);
  if (profile->removable)
    info->flags |= CKF_REMOVABLE_DEVICE;
}

void simulation_token_info(CK_TOKEN_INFO *info)
{
  const struct profile *profile = &settings->profile;
  const struct limits *limits = &settings->limits;
  pad(info->manufacturerID, sizeof(info->manufacturerID), profile->manufacturer);
  pad(info->model, sizeof(info->model), profile->model);
  if (profile->name[0])
    info->firmwareVersion = profile->firmware;
  if (limits->sessions)
    info->ulMaxSessionCount = info->ulMaxRwSessionCount = limits->sessions;
  if (limits->pin_max) {
    info->ulMinPinLen = limits->pin_min;
    info->ulMaxPinLen = limits->pin_max;
  }
}
