/* SPDX-License-Identifier: Apache-2.0 */
/* From the module, or the agent in its place, to a token that is logged in to. */
#include "doctor/doctor_private.h"

#include "identity/hsm.h"
#include "identity/program.h"
#include "policy/policy.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

bool doctor_uses_agent(const struct doctor *d)
{
  return strcmp(config_get(d->config, CONFIG_DEVICE_CRYPTOKI_MODE), "socket") == 0 && !d->options->module_path;
}

bool doctor_has_policy(const struct doctor *d)
{
  (void)d;
  return access(POLICY_FILE, F_OK) == 0;
}

hf_err doctor_agent_policy(struct doctor *d)
{
  HF_CLEANUP(policy_freep) struct policy *policy = NULL;
  struct stat st;
  doctor_detail(d, "%s", POLICY_FILE);
  if (access(POLICY_FILE, R_OK) != 0 && errno == EACCES) {
    doctor_warn(d, hf_hint(hf_fail_errno(errno, "%s", POLICY_FILE), "Run the doctor as root to have it looked at."));
    return HF_OK;
  }
  HF_TRY(policy_load(POLICY_FILE, (gid_t)-1, &policy));
  if (stat(POLICY_FILE, &st) == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)))
    return hf_hint(hf_fail(HF_ERR_PERMISSION, "%s can be changed by others than its owner", POLICY_FILE),
                   "'chmod 644 %s': who changes it decides who may use the keys.", POLICY_FILE);
  return HF_OK;
}

/* Who may connect, may ask. That it is an agent, the module tells. */
hf_err doctor_agent_socket(struct doctor *d)
{
  const char *path = config_get(d->config, CONFIG_DEVICE_CRYPTOKI_PKCS11_SOCKET_PATH);
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  doctor_detail(d, "%s", path);
  if ((size_t)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= sizeof(to.sun_path))
    return hf_fail(HF_ERR_LIMIT, "device.cryptoki.pkcs11_socket_path");
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
    return HF_OK;
  int error = errno;
  hf_err e = hf_fail(HF_ERR_UNREACHABLE, "the key agent at %s: %s", path, strerror(error));
  return error == EACCES ? hf_hint(e, "Add the user to the socket's group, or run as root.")
                         : hf_hint(e, "Start it ('systemctl start holdfast-agent', 'holdfast agent run'), or correct "
                                      "device.cryptoki.pkcs11_socket_path.");
}

hf_err doctor_module_load(struct doctor *d)
{
  char path[PATH_MAX];
  CK_INFO info;
  HF_TRY(program_module(d->config, d->options->module_path, d->module_path, sizeof(d->module_path)));
  HF_TRY(p11_module_of_uri(&d->uri, d->module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &d->module));
  HF_TRY(p11_module_info(d->module, &info));
  size_t len = p11_text_len(info.libraryDescription, sizeof(info.libraryDescription));
  doctor_detail(d, "%.*s %d.%d, %s", (int)len, (const char *)info.libraryDescription, info.libraryVersion.major,
                info.libraryVersion.minor, path);
  return HF_OK;
}

hf_err doctor_module_slots(struct doctor *d)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  HF_CLEANUP(hf_freep) struct p11_trouble *troubles = NULL;
  size_t count = 0, trouble_count = 0, ready = 0;
  HF_TRY(p11_token_list(d->module, &tokens, &count));
  HF_TRY(p11_trouble_list(d->module, &troubles, &trouble_count));
  for (size_t i = 0; i < count; i++)
    ready += (tokens[i].flags & CKF_TOKEN_INITIALIZED) != 0;
  doctor_detail(d, "%zu with a token, %zu of them initialised", count, ready);
  doctor_value(d, "tokens", (double)ready);
  if (trouble_count)
    doctor_warn(d, hf_hint(hf_fail(troubles[0].error.code, "slot %lu: %s", troubles[0].slot, troubles[0].text), "%s",
                           troubles[0].hint));
  return HF_OK;
}

/* It behaves as hardware, and fails on purpose: not for a device that works. */
static void check_simulation(struct doctor *d)
{
  const struct holdfast_token_ext *ext = p11_module_ext(d->module);
  struct holdfast_simulation simulation;
  if (ext && ext->version.minor >= HOLDFAST_SIMULATION_SINCE &&
      ext->simulation_state(d->token.slot, &simulation) == CKR_OK)
    doctor_warn(d, hf_fail(HF_ERR_SIMULATED, "%s, %lu faults",
                           simulation.profile[0] ? simulation.profile : "no profile", simulation.fault_count));
}

hf_err doctor_token_find(struct doctor *d)
{
  HF_TRY(p11_token_find(d->module, &d->uri, &d->token));
  doctor_detail(d, "'%s', %s, serial number %s", d->token.label, d->token.model, d->token.serial);
  check_simulation(d);
  return HF_OK;
}

/* What the token says of its PIN, a row each; the first that is so counts. None of them is tried with. */
static const struct pin_row {
  CK_FLAGS flag;
  bool set;
  enum hf_code code;
  const char *text;
  const char *hint;
} pin_rows[] = {
  { CKF_USER_PIN_LOCKED, true, HF_ERR_PIN_LOCKED, "", "Set a new one with the SO PIN: 'holdfast hsm change-pin'." },
  { CKF_USER_PIN_FINAL_TRY, true, HF_ERR_PIN_INCORRECT, "; one try is left, and was not spent",
    "Make sure of the PIN, then log in once by hand, for example with 'pkcs11-tool --login --test'." },
  { CKF_USER_PIN_COUNT_LOW, true, HF_ERR_PIN_INCORRECT, "; a wrong one was given lately, so none was tried",
    "Make sure of the PIN, then log in once by hand, for example with 'pkcs11-tool --login --test'." },
  { CKF_USER_PIN_INITIALIZED, false, HF_ERR_USER_PIN_NOT_INITIALIZED, "",
    "Set one with the SO PIN: 'holdfast hsm change-pin'." },
};

static hf_err check_pin_state(const struct p11_token *token)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(pin_rows); i++)
    if (((token->flags & pin_rows[i].flag) != 0) == pin_rows[i].set)
      return hf_hint(hf_fail(pin_rows[i].code, "token \"%s\"%s", token->label, pin_rows[i].text), "%s",
                     pin_rows[i].hint);
  return HF_OK;
}

/* The session stays open: what comes after it finds the token logged in to, and gives no PIN. */
hf_err doctor_token_pin(struct doctor *d)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_TRY(p11_token_get(d->module, d->token.slot, &d->token));
  if (!(d->token.flags & CKF_LOGIN_REQUIRED)) {
    doctor_detail(d, "none is asked for");
    return HF_OK;
  }
  HF_TRY(check_pin_state(&d->token));
  HF_TRY(hsm_pin(d->config, &d->uri, &pin));
  HF_TRY(p11_session_open(d->module, d->token.slot, P11_READ_ONLY, &d->session));
  HF_TRY(p11_session_login(d->session, CKU_USER, pin, P11_LOGIN_CAREFUL));
  doctor_detail(d, "it is the right one");
  return HF_OK;
}
