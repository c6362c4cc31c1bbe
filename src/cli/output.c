/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/cli.h"

#include <errno.h>
#include <sys/stat.h>

hf_err cli_output(const struct cli_args *args, struct hf_slice data)
{
  const char *path = cli_get(args, "out");
  if (path && strcmp(path, "-") != 0)
    return hf_file_write(path, data.data, data.len, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  if (fwrite(data.data, 1, data.len, stdout) != data.len || fflush(stdout) != 0)
    return hf_fail_errno(errno, "standard output");
  return HF_OK;
}
