/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include "wire/postcard.h"

enum { VERSION_1 = 0, FIELDS_MAX = 7 };

_Static_assert(WIRE_FRAME_COUNT == 24, "the frames are numbered without a gap");
_Static_assert(WIRE_OFFERED_MAX *WIRE_VARINT_MAX(16) < WIRE_REQUEST_MAX, "all schemes that may be offered fit");
_Static_assert(WIRE_REQUEST_MAX <= WIRE_RESPONSE_MAX, "a request can be reported");

/* What a field's codec works on: its own place, and the frame or item around it. */
struct field_row {
  const struct type_row *type;
  size_t offset;
  size_t count_offset;           /* of a list */
  const struct field_row *items; /* of a list of structs */
};

typedef hf_err (*take_fn)(struct hf_slice *in, const struct field_row *field, uint8_t *record);
typedef hf_err (*add_fn)(struct hf_buf *out, const struct field_row *field, const uint8_t *record);

struct type_row {
  take_fn take;
  add_fn add;
};

/* Places are aligned by offsetof; the detour over void tells the compiler so. */
static void *place(const struct field_row *field, uint8_t *record)
{
  return record + field->offset;
}

static const void *const_place(const struct field_row *field, const uint8_t *record)
{
  return record + field->offset;
}

static hf_err take_bool(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  return wire_take_bool(in, place(field, record));
}

static hf_err add_bool(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  const bool *value = const_place(field, record);
  return hf_buf_add_u8(out, *value);
}

static hf_err take_u8(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  return hf_take_u8(in, place(field, record));
}

static hf_err add_u8(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  return hf_buf_add_u8(out, *(const uint8_t *)const_place(field, record));
}

static hf_err take_u16(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  uint64_t value = 0;
  HF_TRY(wire_take_varint(in, 16, &value));
  *(uint16_t *)place(field, record) = (uint16_t)value;
  return HF_OK;
}

static hf_err add_u16(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  return wire_add_varint(out, *(const uint16_t *)const_place(field, record));
}

static hf_err take_u64(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  return wire_take_varint(in, 64, place(field, record));
}

static hf_err add_u64(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  return wire_add_varint(out, *(const uint64_t *)const_place(field, record));
}

static hf_err take_discriminant(struct hf_slice *in, unsigned count, struct wire_value *ret_value)
{
  uint64_t value = 0;
  HF_TRY(wire_take_varint(in, 32, &value));
  if (value >= count)
    return hf_fail(HF_ERR_PARSE, "variant %llu of an enum with %u", (unsigned long long)value, count);
  *ret_value = (struct wire_value){ true, (uint16_t)value };
  return HF_OK;
}

static hf_err take_key_type(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  return take_discriminant(in, WIRE_KEY_TYPE_COUNT, place(field, record));
}

static hf_err add_value(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  const struct wire_value *value = const_place(field, record);
  return wire_add_varint(out, value->value);
}

static hf_err take_opt_scheme(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  bool present = false;
  HF_TRY(wire_take_bool(in, &present));
  return present ? take_discriminant(in, WIRE_SCHEME_COUNT, place(field, record)) : HF_OK;
}

static hf_err take_opt_u16(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  bool present = false;
  uint64_t value = 0;
  HF_TRY(wire_take_bool(in, &present));
  if (present)
    HF_TRY(wire_take_varint(in, 16, &value));
  *(struct wire_value *)place(field, record) = (struct wire_value){ present, (uint16_t)value };
  return HF_OK;
}

static hf_err add_opt_value(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  const struct wire_value *value = const_place(field, record);
  HF_TRY(hf_buf_add_u8(out, value->present));
  return value->present ? wire_add_varint(out, value->value) : HF_OK;
}

static hf_err take_bytes(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  struct wire_text *text = place(field, record);
  HF_TRY(wire_take_bytes(in, &text->bytes));
  text->present = true;
  return HF_OK;
}

static hf_err take_string(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  struct wire_text *text = place(field, record);
  HF_TRY(wire_take_string(in, &text->bytes));
  text->present = true;
  return HF_OK;
}

static hf_err add_text(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  const struct wire_text *text = const_place(field, record);
  return wire_add_bytes(out, text->bytes);
}

static hf_err take_opt_bytes(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  bool present = false;
  HF_TRY(wire_take_bool(in, &present));
  return present ? take_bytes(in, field, record) : HF_OK;
}

static hf_err take_opt_string(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  bool present = false;
  HF_TRY(wire_take_bool(in, &present));
  return present ? take_string(in, field, record) : HF_OK;
}

static hf_err add_opt_text(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  const struct wire_text *text = const_place(field, record);
  HF_TRY(hf_buf_add_u8(out, text->present));
  return text->present ? add_text(out, field, record) : HF_OK;
}

static hf_err take_last_string(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  return in->len == 0 ? HF_OK : take_opt_string(in, field, record);
}

static hf_err take_offered(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  uint64_t count = 0, value = 0;
  HF_TRY(wire_take_varint(in, 64, &count));
  if (count > WIRE_OFFERED_MAX)
    return hf_fail(HF_ERR_PARSE, "%llu schemes are offered, over %d", (unsigned long long)count, WIRE_OFFERED_MAX);
  uint16_t *offered = place(field, record);
  for (size_t i = 0; i < count; i++) {
    HF_TRY(wire_take_varint(in, 16, &value));
    offered[i] = (uint16_t)value;
  }
  *(size_t *)(void *)(record + field->count_offset) = (size_t)count;
  return HF_OK;
}

static hf_err add_offered(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  const uint16_t *offered = const_place(field, record);
  size_t count = *(const size_t *)(const void *)(record + field->count_offset);
  HF_TRY(wire_add_varint(out, count));
  for (size_t i = 0; i < count; i++)
    HF_TRY(wire_add_varint(out, offered[i]));
  return HF_OK;
}

static hf_err take_fields(struct hf_slice *in, const struct field_row *fields, void *record)
{
  for (; fields->type; fields++)
    HF_TRY(fields->type->take(in, fields, record));
  return HF_OK;
}

static hf_err add_fields(struct hf_buf *out, const struct field_row *fields, const void *record)
{
  for (; fields->type; fields++)
    HF_TRY(fields->type->add(out, fields, record));
  return HF_OK;
}

static hf_err take_items(struct hf_slice *in, const struct field_row *field, uint8_t *record)
{
  uint64_t count = 0;
  HF_TRY(wire_take_varint(in, 64, &count));
  /* An item takes a byte at least, so that a count alone gets no memory. */
  if (count > WIRE_ITEMS_MAX || count > in->len)
    return hf_fail(HF_ERR_PARSE, "a list of %llu items", (unsigned long long)count);
  struct wire_item *items = calloc((size_t)count + 1, sizeof(*items));
  if (!items)
    return hf_fail(HF_ERR_NO_MEMORY, "a list of %llu items", (unsigned long long)count);
  *(struct wire_item **)place(field, record) = items;
  *(size_t *)(void *)(record + field->count_offset) = (size_t)count;
  for (size_t i = 0; i < count; i++)
    HF_TRY(take_fields(in, field->items, &items[i]));
  return HF_OK;
}

static hf_err add_items(struct hf_buf *out, const struct field_row *field, const uint8_t *record)
{
  struct wire_item *const *items = const_place(field, record);
  size_t count = *(const size_t *)(const void *)(record + field->count_offset);
  HF_TRY(wire_add_varint(out, count));
  for (size_t i = 0; i < count; i++)
    HF_TRY(add_fields(out, field->items, &(*items)[i]));
  return HF_OK;
}

static const struct type_row type_bool = { take_bool, add_bool };
static const struct type_row type_u8 = { take_u8, add_u8 };
static const struct type_row type_u16 = { take_u16, add_u16 };
static const struct type_row type_u64 = { take_u64, add_u64 };
static const struct type_row type_key_type = { take_key_type, add_value };
static const struct type_row type_opt_scheme = { take_opt_scheme, add_opt_value };
static const struct type_row type_opt_u16 = { take_opt_u16, add_opt_value };
static const struct type_row type_bytes = { take_bytes, add_text };
static const struct type_row type_string = { take_string, add_text };
static const struct type_row type_opt_bytes = { take_opt_bytes, add_opt_text };
static const struct type_row type_opt_string = { take_opt_string, add_opt_text };
static const struct type_row type_last_string = { take_last_string, add_opt_text };
static const struct type_row type_offered = { take_offered, add_offered };
static const struct type_row type_items = { take_items, add_items };

#define ITEM(kind, member)                                    \
  {                                                           \
    &type_##kind, offsetof(struct wire_item, member), 0, NULL \
  }
#define FIELD(kind, member)                                    \
  {                                                            \
    &type_##kind, offsetof(struct wire_frame, member), 0, NULL \
  }
#define OFFERED                                                                                           \
  {                                                                                                       \
    &type_offered, offsetof(struct wire_frame, offered), offsetof(struct wire_frame, offered_count), NULL \
  }
#define LIST(of)                                                                                 \
  {                                                                                              \
    &type_items, offsetof(struct wire_frame, items), offsetof(struct wire_frame, item_count), of \
  }
#define END          \
  {                  \
    NULL, 0, 0, NULL \
  }

static const struct field_row uri_item[] = { ITEM(string, uri), END };
static const struct field_row token_item[] = { ITEM(u64, slot),      ITEM(string, label),
                                               ITEM(string, model),  ITEM(string, manufacturer),
                                               ITEM(string, serial), ITEM(bool, initialized),
                                               ITEM(string, uri),    END };
static const struct field_row key_item[] = { ITEM(string, object_class), ITEM(string, key_type), ITEM(string, label),
                                             ITEM(string, id),           ITEM(string, uri),      END };

#define NAMED(id, name, number, direction) [WIRE_##id] = { name, WIRE_DIRECTION_##direction },
static const struct {
  const char *name;
  enum wire_direction direction;
} names[WIRE_FRAME_COUNT] = { WIRE_FRAME_TABLE(NAMED) };
#undef NAMED

static const struct field_row frames[WIRE_FRAME_COUNT][FIELDS_MAX] = {
  [WIRE_ERROR] = { FIELD(string, text), END },
  [WIRE_CHOOSE_SCHEME] = { OFFERED, FIELD(opt_string, uri), FIELD(last_string, pin), END },
  [WIRE_SIGN] = { FIELD(bytes, bytes), FIELD(opt_string, uri), FIELD(last_string, pin), END },
  [WIRE_SCHEME] = { FIELD(opt_u16, scheme), FIELD(u8, algorithm), END },
  [WIRE_SIGNATURE] = { FIELD(bytes, bytes), END },
  [WIRE_SIGN_WITH] = { FIELD(bytes, bytes), FIELD(opt_string, uri), FIELD(opt_scheme, scheme), FIELD(last_string, pin),
                       END },
  [WIRE_GET_PUBLIC_KEY] = { FIELD(opt_string, uri), END },
  [WIRE_PUBLIC_KEY] = { FIELD(string, text), END },
  [WIRE_PING] = { END },
  [WIRE_PONG] = { END },
  [WIRE_CREATE_KEY] = { FIELD(string, uri), FIELD(key_type, key_type), FIELD(u16, key_size), FIELD(string, label),
                        FIELD(opt_bytes, id), FIELD(last_string, pin), END },
  [WIRE_CREATED_KEY] = { FIELD(string, text), FIELD(string, uri), END },
  [WIRE_GET_TOKENS_URIS] = { END },
  [WIRE_TOKENS_URIS] = { LIST(uri_item), END },
  [WIRE_INIT_TOKEN] = { FIELD(string, label), FIELD(opt_string, so_pin), FIELD(opt_string, pin), FIELD(opt_string, uri),
                        END },
  [WIRE_INITED_TOKEN] = { FIELD(string, uri), END },
  [WIRE_LIST_TOKENS] = { END },
  [WIRE_TOKENS] = { LIST(token_item), END },
  [WIRE_CHANGE_PIN] = { FIELD(opt_string, uri), FIELD(string, new_pin), FIELD(opt_string, old_pin),
                        FIELD(opt_string, so_pin), FIELD(bool, reset), END },
  [WIRE_CHANGED_PIN] = { FIELD(string, uri), END },
  [WIRE_DELETE_KEY] = { FIELD(string, uri), FIELD(last_string, pin), END },
  [WIRE_DELETED_KEY] = { LIST(uri_item), END },
  [WIRE_LIST_KEYS] = { FIELD(opt_string, uri), FIELD(last_string, pin), END },
  [WIRE_KEYS] = { LIST(key_item), END },
};

const char *wire_frame_name(unsigned number)
{
  return number < WIRE_FRAME_COUNT ? names[number].name : NULL;
}

static hf_err take_number(struct hf_slice *in, enum wire_number *ret_number)
{
  uint64_t version = 0, number = 0;
  HF_TRY(wire_take_varint(in, 32, &version));
  if (version != VERSION_1)
    return hf_fail(HF_ERR_PARSE, "version %llu of the frames, where 0 is known", (unsigned long long)version);
  HF_TRY(wire_take_varint(in, 32, &number));
  if (number >= WIRE_FRAME_COUNT)
    return hf_fail(HF_ERR_PARSE, "frame %llu, where 0 to %d are known", (unsigned long long)number,
                   WIRE_FRAME_COUNT - 1);
  *ret_number = (enum wire_number)number;
  return HF_OK;
}

hf_err wire_frame_decode(struct hf_slice data, enum wire_direction direction, struct wire_frame *ret_frame)
{
  HF_CLEANUP(wire_frame_free) struct wire_frame frame = { 0 };
  HF_TRY(take_number(&data, &frame.number));
  HF_TRY(take_fields(&data, frames[frame.number], &frame));
  if (names[frame.number].direction != direction)
    return hf_fail(HF_ERR_ARGUMENT, "the frame %s goes the other way", names[frame.number].name);
  *ret_frame = frame;
  frame.items = NULL;
  return HF_OK;
}

hf_err wire_frame_encode(const struct wire_frame *frame, struct hf_buf *out)
{
  HF_TRY(wire_add_varint(out, VERSION_1));
  HF_TRY(wire_add_varint(out, frame->number));
  return add_fields(out, frames[frame->number], frame);
}

void wire_frame_free(struct wire_frame *frame)
{
  free(frame->items);
  frame->items = NULL;
  frame->item_count = 0;
}
