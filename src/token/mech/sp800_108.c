/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KDFs of NIST SP 800-108 (PKCS #11 v3.2, section 6.42): counter, feedback, double pipeline. The caller composes what the
 * PRF reads out of rows (CK_PRF_DATA_PARAM). Each key begins with a new segment, which is one output of the PRF.
 */
#include "token/mech/kdf.h"
#include "token/mech/prf.h"

enum { ROWS_MAX = 32, KEYS_MAX = DERIVED_PIECES - 1, ARRAY_MAX = 4096, COUNTER_BITS_MAX = 32, LENGTH_BITS_MAX = 64 };

/* The rows as they were checked, in memory of our own. */
struct row {
  CK_ULONG type;
  bool little_endian;
  size_t width;  /* bytes; 0: the iteration variable that is no number */
  bool segments; /* the length of all segments, not of the keys alone */
  struct hf_slice bytes;
};

struct state {
  struct prf prf;
  struct row rows[ROWS_MAX];
  size_t row_count;
  struct hf_slice iv;
  const struct hf_ck_derived_key *keys;
  size_t key_count;
  uint64_t key_bits, segment_bits;
};

static void free_state(void *arg)
{
  struct state *state = arg;
  prf_free(&state->prf);
  free(state);
}

static bool counts(const struct mech *mech)
{
  return mech->type == CKM_SP800_108_COUNTER_KDF;
}

static hf_err take_number(const struct op *op, CK_BBOOL little_endian, CK_ULONG bits, CK_ULONG max, struct row *row)
{
  if (bits == 0 || bits > max || bits % 8)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a number of %lu bits", op->mech->name, bits);
  row->little_endian = little_endian;
  row->width = bits / 8;
  return HF_OK;
}

static hf_err take_counter(const struct op *op, const struct hf_ck_prf_data_param *param, struct row *row)
{
  struct hf_ck_sp800_108_counter_format format;
  if (!param->pValue || param->ulValueLen != sizeof(format))
    return kdf_bad_param(op->mech, "the counter's format");
  memcpy(&format, param->pValue, sizeof(format));
  return take_number(op, format.bLittleEndian, format.ulWidthInBits, COUNTER_BITS_MAX, row);
}

static hf_err take_iteration(const struct op *op, const struct hf_ck_prf_data_param *param, struct row *row)
{
  if (counts(op->mech))
    return take_counter(op, param, row);
  return param->pValue || param->ulValueLen ? kdf_bad_param(op->mech, "the iteration variable has a format") : HF_OK;
}

static hf_err take_length(const struct op *op, const struct hf_ck_prf_data_param *param, struct row *row)
{
  struct hf_ck_sp800_108_dkm_length_format format;
  if (!param->pValue || param->ulValueLen != sizeof(format))
    return kdf_bad_param(op->mech, "the length's format");
  memcpy(&format, param->pValue, sizeof(format));
  row->segments = format.dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS;
  if (!row->segments && format.dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS)
    return kdf_bad_param(op->mech, "the length's method");
  return take_number(op, format.bLittleEndian, format.ulWidthInBits, LENGTH_BITS_MAX, row);
}

static hf_err take_bytes(const struct op *op, const struct hf_ck_prf_data_param *param, struct row *row)
{
  return kdf_bytes(op->mech, param->pValue, param->ulValueLen, ARRAY_MAX, &row->bytes);
}

static const struct {
  CK_ULONG type;
  bool once; /* in one parameter */
  hf_err (*take)(const struct op *op, const struct hf_ck_prf_data_param *param, struct row *row);
} row_types[] = {
  { CK_SP800_108_ITERATION_VARIABLE, true, take_iteration },
  { CK_SP800_108_COUNTER, true, take_counter },
  { CK_SP800_108_DKM_LENGTH, true, take_length },
  { CK_SP800_108_BYTE_ARRAY, false, take_bytes },
};

static size_t rows_of(const struct state *state, CK_ULONG type)
{
  size_t count = 0;
  for (size_t i = 0; i < state->row_count; i++)
    count += state->rows[i].type == type;
  return count;
}

static hf_err take_row(const struct op *op, struct state *state, const struct hf_ck_prf_data_param *param)
{
  if (param->type == CK_SP800_108_COUNTER && counts(op->mech))
    return kdf_bad_param(op->mech, "its counter is the iteration variable");
  for (size_t i = 0; i < HF_ARRAY_LEN(row_types); i++) {
    if (row_types[i].type != param->type)
      continue;
    if (row_types[i].once && rows_of(state, param->type))
      return kdf_bad_param(op->mech, "a row is there twice");
    struct row *row = &state->rows[state->row_count++];
    *row = (struct row){ .type = param->type };
    return row_types[i].take(op, param, row);
  }
  return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: data of type 0x%lx", op->mech->name, param->type);
}

static hf_err take_rows(const struct op *op, struct state *state, const struct hf_ck_prf_data_param *params,
                        CK_ULONG count)
{
  if (count > ROWS_MAX || (count && !params))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %lu rows of data", op->mech->name, count);
  for (CK_ULONG i = 0; i < count; i++)
    HF_TRY(take_row(op, state, &params[i]));
  return rows_of(state, CK_SP800_108_ITERATION_VARIABLE) ? HF_OK
                                                         : kdf_bad_param(op->mech, "it lacks the iteration variable");
}

/* The two structures differ in the initial value. */
static hf_err take_params(const struct op *op, struct hf_ck_sp800_108_feedback_kdf_params *ret_params)
{
  struct hf_ck_sp800_108_kdf_params plain;
  bool feedback = op->mech->type == CKM_SP800_108_FEEDBACK_KDF;
  if (op->param_len != (feedback ? sizeof(*ret_params) : sizeof(plain)))
    return kdf_bad_param(op->mech, "its parameter's size");
  if (feedback) {
    memcpy(ret_params, op->param, sizeof(*ret_params));
    return HF_OK;
  }
  memcpy(&plain, op->param, sizeof(plain));
  *ret_params = (struct hf_ck_sp800_108_feedback_kdf_params){
    .prfType = plain.prfType,
    .ulNumberOfDataParams = plain.ulNumberOfDataParams,
    .pDataParams = plain.pDataParams,
    .ulAdditionalDerivedKeys = plain.ulAdditionalDerivedKeys,
    .pAdditionalDerivedKeys = plain.pAdditionalDerivedKeys,
  };
  return HF_OK;
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  struct hf_ck_sp800_108_feedback_kdf_params params = { 0 };
  HF_TRY(take_params(op, &params));
  struct state *state = calloc(1, sizeof(*state));
  if (!state)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  op->state = state;
  op->free_state = free_state;
  op->once = true;
  HF_TRY(prf_new(params.prfType, key->value, &state->prf));
  HF_TRY(kdf_bytes(op->mech, params.pIV, params.ulIVLen, ARRAY_MAX, &state->iv));
  HF_TRY(take_rows(op, state, params.pDataParams, params.ulNumberOfDataParams));
  state->keys = params.pAdditionalDerivedKeys;
  state->key_count = params.ulAdditionalDerivedKeys;
  return state->key_count <= KEYS_MAX && (state->keys || !state->key_count)
             ? HF_OK
             : hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %zu additional keys", op->mech->name, state->key_count);
}

static hf_err plan(struct op *op, struct derivation *d)
{
  struct state *state = op->state;
  HF_TRY(derivation_object(op, d, d->tmpl, d->count, d->ret_handle));
  for (size_t i = 0; i < state->key_count; i++) {
    const struct hf_ck_derived_key *key = &state->keys[i];
    if (key->ulAttributeCount && !key->pTemplate)
      return kdf_bad_param(op->mech, "an additional key has no template");
    HF_TRY(derivation_object(op, d, key->pTemplate, key->ulAttributeCount, key->phKey));
  }
  for (size_t i = 0; i < d->piece_count; i++) {
    struct derived *piece = &d->pieces[i];
    HF_TRY(kdf_need_len(op, piece->len));
    piece->span = (piece->len + state->prf.size - 1) / state->prf.size * state->prf.size;
    state->key_bits += 8 * piece->len;
    state->segment_bits += 8 * piece->span;
  }
  return HF_OK;
}

static hf_err add_number(struct prf *prf, const struct row *row, uint64_t number)
{
  uint8_t bytes[sizeof(number)];
  for (size_t i = 0; i < row->width; i++)
    bytes[row->little_endian ? i : row->width - 1 - i] = (uint8_t)(number >> (8 * i));
  return prf_add(prf, hf_slice(bytes, row->width));
}

/* One row of what the PRF reads for segment number i; before is the iteration variable, where it is no number. */
static hf_err add_row(struct state *state, const struct row *row, uint64_t i, struct hf_slice before)
{
  switch (row->type) {
  case CK_SP800_108_ITERATION_VARIABLE:
    return row->width ? add_number(&state->prf, row, i) : prf_add(&state->prf, before);
  case CK_SP800_108_COUNTER:
    return add_number(&state->prf, row, i);
  case CK_SP800_108_DKM_LENGTH:
    return add_number(&state->prf, row, row->segments ? state->segment_bits : state->key_bits);
  default:
    return prf_add(&state->prf, row->bytes);
  }
}

static hf_err make_segment(struct state *state, uint64_t i, struct hf_slice before, uint8_t out[PRF_MAX])
{
  HF_TRY(prf_start(&state->prf));
  for (size_t k = 0; k < state->row_count; k++)
    HF_TRY(add_row(state, &state->rows[k], i, before));
  return prf_end(&state->prf, out);
}

/* The second pipeline's variable A(i): of A(i - 1), and A(1) of what is not of the iteration. */
static hf_err make_variable(struct state *state, uint64_t i, uint8_t variable[PRF_MAX])
{
  HF_TRY(prf_start(&state->prf));
  if (i > 1)
    HF_TRY(prf_add(&state->prf, hf_slice(variable, state->prf.size)));
  for (size_t k = 0; i == 1 && k < state->row_count; k++) {
    CK_ULONG type = state->rows[k].type;
    if (type == CK_SP800_108_DKM_LENGTH || type == CK_SP800_108_BYTE_ARRAY)
      HF_TRY(add_row(state, &state->rows[k], i, hf_slice(NULL, 0)));
  }
  return prf_end(&state->prf, variable);
}

static hf_err check_counter(const struct op *op, const struct state *state, uint64_t segments)
{
  for (size_t i = 0; i < state->row_count; i++) {
    const struct row *row = &state->rows[i];
    bool counter = row->type == CK_SP800_108_COUNTER || row->type == CK_SP800_108_ITERATION_VARIABLE;
    if (counter && row->width && segments >> (8 * row->width))
      return kdf_bad_param(op->mech, "the counter is too narrow for the keys' length");
  }
  return HF_OK;
}

static hf_err make_segments(struct op *op, uint64_t segments, uint8_t *segment, uint8_t *variable, struct hf_buf *out)
{
  struct state *state = op->state;
  bool pipeline = op->mech->type == CKM_SP800_108_DOUBLE_PIPELINE_KDF;
  struct hf_slice before = state->iv;
  for (uint64_t i = 1; i <= segments; i++) {
    if (pipeline) {
      HF_TRY(make_variable(state, i, variable));
      before = hf_slice(variable, state->prf.size);
    }
    HF_TRY(make_segment(state, i, before, segment));
    HF_TRY(hf_buf_add(out, segment, state->prf.size));
    if (!pipeline)
      before = hf_slice(segment, state->prf.size);
  }
  return HF_OK;
}

static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  struct state *state = op->state;
  uint8_t segment[PRF_MAX], variable[PRF_MAX];
  uint64_t segments = len / state->prf.size;
  HF_TRY(check_counter(op, state, segments));
  hf_err e = make_segments(op, segments, segment, variable, out);
  hf_wipe(segment, sizeof(segment));
  hf_wipe(variable, sizeof(variable));
  return e;
}

const struct mech_ops mech_sp800_108 = { .prepare = prepare, .plan = plan, .derive = derive };
