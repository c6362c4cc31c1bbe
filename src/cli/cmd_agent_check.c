/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "policy/policy.h"

#include <errno.h>
#include <grp.h>

enum { NSS_BUFFER = 16 * 1024 };

static hf_err find_group(const char *name, gid_t *ret_group)
{
  char buffer[NSS_BUFFER];
  struct group entry, *found = NULL;
  if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "the group %s", name), "'getent group' lists the groups.");
  *ret_group = entry.gr_gid;
  return HF_OK;
}

static hf_err describe_peer(const struct cli_args *args, struct peer *peer)
{
  char *user;
  HF_TRY(cli_require(args, "as", &user));
  HF_TRY(peer_of_user(user, peer));
  const char *unit = cli_get(args, "unit"), *exe = cli_get(args, "exe");
  if (unit)
    snprintf(peer->unit, sizeof(peer->unit), "%s", unit);
  if (exe)
    snprintf(peer->exe, sizeof(peer->exe), "%s", exe);
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(policy_freep) struct policy *policy = NULL;
  HF_CLEANUP(uri_free) struct uri key = { 0 };
  struct peer peer;
  enum policy_op op;
  gid_t group = (gid_t)-1;
  char *name, *uri = cli_get(args, "key"), *path = cli_get(args, "policy"), *group_name = cli_get(args, "socket-group");
  HF_TRY(describe_peer(args, &peer));
  HF_TRY(cli_require(args, "op", &name));
  HF_TRY(policy_op_parse(name, &op));
  if (uri)
    HF_TRY(uri_parse(uri, &key));
  if (group_name)
    HF_TRY(find_group(group_name, &group));
  if (path && access(path, R_OK) != 0)
    return hf_fail_errno(errno, "the policy %s", path);
  HF_TRY(policy_load(path ? path : POLICY_FILE, group, &policy));
  struct policy_answer answer;
  if (op == POLICY_READ)
    policy_ask_secret(policy, &peer, cli_get(args, "secret"), &answer);
  else
    policy_ask(policy, &peer, op, uri ? &key : NULL, &answer);
  printf("%s\n  by %s\n", answer.verdict == VERDICT_ALLOW ? "allowed" : "denied", answer.rule);
  if (answer.verdict == VERDICT_ALLOW)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_PERMISSION, "user '%s' may not %s", cli_get(args, "as"), name),
                 "To allow it, add to %s: %s", path ? path : POLICY_FILE, answer.to_allow);
}

static const struct cli_option options[] = {
  { "as", "USER", "the user who would ask, by name or number" },
  { "op", "OP", "list, sign, decrypt, derive, create, delete, init, change-pin, or read (a secret)" },
  { "key", "URI",
    "the key's whole URI, as 'holdfast key list' prints it; for create, init and change-pin the token's" },
  { "secret", "NAME", "for read: the secret's name" },
  { "unit", "UNIT", "the systemd unit that would ask" },
  { "exe", "PATH", "the program that would ask" },
  { "policy", "FILE", "the policy (default: " POLICY_FILE ")" },
  { "socket-group", "GROUP", "the group that may use the agent's sockets, whose members the default is for" },
  CLI_END,
};

const struct cli_command cli_agent_check = {
  .name = "agent check",
  .help = "Tell whether the key agent's policy would allow it, and by which rule",
  .options = options,
  .details = "Exit status 0: allowed. 1: denied. The agent need not run.\n",
  .example = "holdfast agent check --as mosquitto --op sign --key 'pkcs11:token=device;object=tls;type=private'\n",
  .run = run,
};
