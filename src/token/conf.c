/* SPDX-License-Identifier: Apache-2.0 */
#include "token/conf.h"

#include "base/file.h"
#include "token/conf_lines.h"

#include <errno.h>
#include <pwd.h>

enum { CONF_MAX = 64 * 1024 };

typedef bool (*mechanism_of_fn)(const char *, CK_MECHANISM_TYPE *);

struct parser {
  struct token_conf *conf;
  mechanism_of_fn mechanism_of;
  const struct conf_line *line;
};

static hf_err parse_number(struct parser *p, const char *value, int base, unsigned long min, unsigned long max,
                           unsigned long *ret_number)
{
  char *end;
  errno = 0;
  unsigned long number = strtoul(value, &end, base);
  if (errno || end == value || *end || value[0] == '-' || number < min || number > max) {
    char expected[64];
    snprintf(expected, sizeof(expected), base == 8 ? "an octal number to %lo" : "a number from %lu to %lu",
             base == 8 ? max : min, max);
    return conf_line_bad(p->line, expected);
  }
  *ret_number = number;
  return HF_OK;
}

static hf_err parse_u32(struct parser *p, const char *value, uint32_t min, uint32_t max, uint32_t *ret_number)
{
  unsigned long number = 0;
  HF_TRY(parse_number(p, value, 10, min, max, &number));
  *ret_number = (uint32_t)number;
  return HF_OK;
}

static hf_err parse_bool(struct parser *p, const char *value, bool *ret_bool)
{
  /* In any case, as SoftHSM2 reads it. */
  if (strcasecmp(value, "true") != 0 && strcasecmp(value, "false") != 0)
    return conf_line_bad(p->line, "true or false");
  *ret_bool = strcasecmp(value, "true") == 0;
  return HF_OK;
}

static hf_err set_tokendir(struct parser *p, char *value)
{
  if (value[0] == '\0')
    return conf_line_bad(p->line, "a directory");
  if ((size_t)snprintf(p->conf->tokendir, sizeof(p->conf->tokendir), "%s", value) >= sizeof(p->conf->tokendir))
    return conf_line_bad(p->line, "a shorter path");
  p->conf->tokendir_default = false;
  return HF_OK;
}

/* SoftHSM's two formats; ours is one, so either will do. */
static hf_err set_backend(struct parser *p, char *value)
{
  return strcmp(value, "file") == 0 || strcmp(value, "db") == 0 ? HF_OK : conf_line_bad(p->line, "file or db");
}

static hf_err set_umask(struct parser *p, char *value)
{
  unsigned long number = 0;
  HF_TRY(parse_number(p, value, 8, 0, 0777, &number));
  p->conf->umask = (unsigned)number;
  return HF_OK;
}

static hf_err set_log_level(struct parser *p, char *value)
{
  return hf_log_level_parse(value, &p->conf->log_level) ? HF_OK
                                                        : conf_line_bad(p->line, "ERROR, WARNING, INFO or DEBUG");
}

static hf_err set_removable(struct parser *p, char *value)
{
  return parse_bool(p, value, &p->conf->removable);
}

/* A child always starts with nothing initialised, which is what "true" asks for and "false" cannot rely on. */
static hf_err set_reset_on_fork(struct parser *p, char *value)
{
  bool ignored;
  return parse_bool(p, value, &ignored);
}

static hf_err set_pin_tries(struct parser *p, char *value)
{
  return parse_u32(p, value, 2, 255, &p->conf->pin_tries);
}

static hf_err set_kdf_memory(struct parser *p, char *value)
{
  return parse_u32(p, value, 8, 1024 * 1024, &p->conf->kdf_memory);
}

static hf_err set_kdf_passes(struct parser *p, char *value)
{
  return parse_u32(p, value, 1, 1000, &p->conf->kdf_passes);
}

static hf_err set_mechanisms(struct parser *p, char *value)
{
  struct token_conf *conf = p->conf;
  conf->mechanisms_all = strcmp(value, "ALL") == 0;
  conf->mechanism_count = 0;
  if (conf->mechanisms_all)
    return HF_OK;
  conf->mechanisms_deny = value[0] == '-';
  char *rest = value + (conf->mechanisms_deny ? 1 : 0), *name;
  while ((name = strsep(&rest, ", \t")) != NULL) {
    CK_MECHANISM_TYPE type;
    if (name[0] == '\0')
      continue;
    if (!p->mechanism_of(name, &type))
      hf_log(HF_LOG_WARNING, "%s, line %u: the token has no mechanism %s", conf->path, p->line->number, name);
    else if (conf->mechanism_count == CONF_MECHANISMS_MAX)
      return conf_line_bad(p->line, "fewer mechanisms");
    else
      conf->mechanisms[conf->mechanism_count++] = type;
  }
  return HF_OK;
}

static const struct {
  const char *key;
  hf_err (*set)(struct parser *, char *value);
} keys[] = {
  { "directories.tokendir", set_tokendir },
  { "objectstore.backend", set_backend },
  { "objectstore.umask", set_umask },
  { "log.level", set_log_level },
  { "slots.removable", set_removable },
  { "slots.mechanisms", set_mechanisms },
  { "library.reset_on_fork", set_reset_on_fork },
  { "pin.tries", set_pin_tries },
  { "pin.kdf_memory", set_kdf_memory },
  { "pin.kdf_passes", set_kdf_passes },
};

static hf_err parse_line(const struct conf_line *line, void *arg)
{
  struct parser *p = arg;
  p->line = line;
  for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++)
    if (strcmp(keys[i].key, line->key) == 0)
      return keys[i].set(p, line->value);
  bool known;
  HF_TRY(simulation_settings_take(&p->conf->simulation, line, p->mechanism_of, &known));
  if (known)
    return HF_OK;
  hf_log(HF_LOG_WARNING, "%s, line %u: unknown key %s", line->path, line->number, line->key);
  return HF_OK;
}

hf_err conf_parse(struct hf_buf *text, mechanism_of_fn mechanism_of, struct token_conf *conf)
{
  struct parser p = { .conf = conf, .mechanism_of = mechanism_of };
  /* Behind it, lines would go unread. */
  if (text->len && memchr(text->data, '\0', text->len))
    return hf_fail(HF_ERR_CONFIG, "%s is no text: it has a byte of value zero", conf->path);
  HF_TRY(hf_buf_add_u8(text, '\0'));
  HF_TRY(conf_lines(conf->path, (char *)text->data, parse_line, &p));
  HF_TRY(simulation_settings_finish(&conf->simulation));
  if (conf->simulation.enabled && conf->simulation.limits.tries)
    conf->pin_tries = conf->simulation.limits.tries;
  return HF_OK;
}

static hf_err parse_file(mechanism_of_fn mechanism_of, struct token_conf *conf)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CONF_MAX);
  hf_err e = hf_file_read(conf->path, &text);
  if (e.code == HF_ERR_NO_MEMORY)
    return e;
  if (hf_failed(e))
    return hf_fail(HF_ERR_CONFIG, "the token's configuration: %s", hf_err_context());
  return conf_parse(&text, mechanism_of, conf);
}

static const char *home_dir(void)
{
  const char *home = getenv("HOME");
  if (home && home[0])
    return home;
  const struct passwd *user = getpwuid(getuid());
  return user ? user->pw_dir : "/";
}

static void find_file(struct token_conf *conf)
{
  static const struct {
    const char *path;
    bool in_home;
    int needed; /* SoftHSM2's own files count only where they can be read: they may be there for it alone */
  } places[] = {
    { ".config/holdfast/token.conf", true, F_OK },
    { ".config/softhsm2/softhsm2.conf", true, R_OK },
    { "/etc/holdfast/token.conf", false, F_OK },
    { "/etc/softhsm/softhsm2.conf", false, R_OK },
  };
  const char *named = getenv("HOLDFAST_TOKEN_CONF");
  if (!named || !named[0])
    named = getenv("SOFTHSM2_CONF");
  if (named && named[0]) {
    snprintf(conf->path, sizeof(conf->path), "%s", named);
    return;
  }
  for (size_t i = 0; i < HF_ARRAY_LEN(places); i++) {
    const char *home = places[i].in_home ? home_dir() : "";
    snprintf(conf->path, sizeof(conf->path), "%s%s%s", home, places[i].in_home ? "/" : "", places[i].path);
    if (access(conf->path, places[i].needed) == 0)
      return;
  }
  conf->path[0] = '\0';
}

static void default_tokendir(struct token_conf *conf)
{
  const char *data = getenv("XDG_DATA_HOME");
  if (geteuid() == 0)
    snprintf(conf->tokendir, sizeof(conf->tokendir), "/var/lib/holdfast/tokens");
  else if (data && data[0])
    snprintf(conf->tokendir, sizeof(conf->tokendir), "%s/holdfast/tokens", data);
  else
    snprintf(conf->tokendir, sizeof(conf->tokendir), "%s/.local/share/holdfast/tokens", home_dir());
  conf->tokendir_default = true;
}

/*
 * Argon2id's default by RFC 9106, section 4: one lane, for the boards are small; as much memory as a board of 512 MiB spares when
 * several programs log in at once; then passes until it takes about 50 ms there. A PC takes 17 ms, a Cortex-A72 about thrice that.
 */
enum { KDF_MEMORY = 12 * 1024, KDF_PASSES = 3 };

hf_err conf_load(mechanism_of_fn mechanism_of, struct token_conf *ret_conf)
{
  struct token_conf conf = {
    .log_level = HF_LOG_INFO,
    .umask = 0077,
    .pin_tries = 10,
    .kdf_memory = KDF_MEMORY,
    .kdf_passes = KDF_PASSES,
    .mechanisms_all = true,
  };
  default_tokendir(&conf);
  find_file(&conf);
  if (conf.path[0])
    HF_TRY(parse_file(mechanism_of, &conf));
  *ret_conf = conf;
  return HF_OK;
}

bool conf_allows(const struct token_conf *conf, CK_MECHANISM_TYPE type)
{
  if (conf->mechanisms_all)
    return true;
  bool named = false;
  for (size_t i = 0; i < conf->mechanism_count; i++)
    named |= conf->mechanisms[i] == type;
  return named != conf->mechanisms_deny;
}
