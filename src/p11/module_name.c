/* SPDX-License-Identifier: Apache-2.0 */
/* module-path and module-name (RFC 7512, section 2.4). */
#include "p11/module.h"

#include "uri/uri.h"

#include <limits.h>
#include <sys/stat.h>

/* Where modules are installed, P11_MODULE_DIR being where p11-kit looks; and what a library is called. */
static const char *const dirs[] = {
  P11_MODULE_DIR,          (P11_MODULE_DIR "/.."),   "/usr/lib/softhsm", "/usr/lib/pkcs11",
  "/usr/local/lib/pkcs11", "/usr/local/lib/softhsm", "/usr/local/lib",
};
static const char *const forms[] = { "lib%s.so", "%s.so" };

static bool is_dir(const char *path)
{
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Into out, which holds NAME_MAX and more, so that a name that does not fit into it is none. */
static void file_name(const char *form, const char *name, char out[2 * NAME_MAX])
{
  const char *mark = strstr(form, "%s");
  snprintf(out, 2 * NAME_MAX, "%.*s%.*s%s", (int)(mark - form), form, NAME_MAX, name, mark + 2);
}

static bool find_in(const char *dir, const char *name, char *out, size_t size)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(forms); i++) {
    char file[2 * NAME_MAX];
    file_name(forms[i], name, file);
    int len = snprintf(out, size, "%s/%s", dir, file);
    if (len > 0 && (size_t)len < size && access(out, F_OK) == 0)
      return true;
  }
  return false;
}

/* "softhsm2" is the name of /usr/lib/softhsm/libsofthsm2.so. */
static bool is_named(const char *path, const char *name)
{
  const char *slash = strrchr(path, '/');
  for (size_t i = 0; i < HF_ARRAY_LEN(forms); i++) {
    char file[2 * NAME_MAX];
    file_name(forms[i], name, file);
    if (strcmp(slash ? slash + 1 : path, file) == 0)
      return true;
  }
  return false;
}

static hf_err not_found(const char *name, const char *dir)
{
  return hf_hint(
      hf_fail(HF_ERR_MODULE_LOAD, "module-name=%s: no such library%s%s", name, dir ? " in " : "", dir ? dir : ""),
      "Say where it is by module-path=.");
}

hf_err p11_module_of_uri(const struct uri *uri, const char *otherwise, char *out, size_t size)
{
  const char *path = uri_get(uri, URI_MODULE_PATH), *name = uri_get(uri, URI_MODULE_NAME);
  char found[PATH_MAX];
  if (name && (!name[0] || strchr(name, '/')))
    return hf_fail(HF_ERR_URI_INVALID, "module-name=%s is no library's name", name);
  if (path && is_dir(path)) {
    if (!name)
      return hf_hint(hf_fail(HF_ERR_MODULE_LOAD, "module-path=%s is a directory", path),
                     "Name the library by module-name=.");
    if (!find_in(path, name, found, sizeof(found)))
      return not_found(name, path);
    path = found;
  } else if (!path && name && !(otherwise && is_named(otherwise, name))) {
    for (size_t i = 0; i < HF_ARRAY_LEN(dirs) && !path; i++)
      path = find_in(dirs[i], name, found, sizeof(found)) ? found : NULL;
    if (!path)
      return not_found(name, NULL);
  }
  path = path ? path : otherwise ? otherwise : "";
  return (size_t)snprintf(out, size, "%s", path) < size ? HF_OK
                                                        : hf_fail(HF_ERR_LIMIT, "the module's path %.64s...", path);
}
