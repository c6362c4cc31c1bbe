/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and directories of seeds, so that they are an ordinary test without libFuzzer. */
#include "base/file.h"

#include <limits.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED_MAX = 1 << 20 };

static hf_err replay_file(const char *path)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf seed = HF_BUF(SEED_MAX);
  HF_TRY(hf_file_read(path, &seed));
  LLVMFuzzerTestOneInput(seed.data, seed.len);
  return HF_OK;
}

static hf_err replay_directory(const char *path, int *count)
{
  HF_CLEANUP(hf_closedirp) DIR *dir = opendir(path);
  if (!dir)
    return hf_fail(HF_ERR_NOT_FOUND, "%s", path);
  for (const struct dirent *entry; (entry = readdir(dir));) {
    if (entry->d_name[0] == '.')
      continue;
    char file[PATH_MAX];
    snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
    HF_TRY(replay_file(file));
    ++*count;
  }
  return HF_OK;
}

int main(int argc, char **argv)
{
  int count = 0;
  for (int i = 1; i < argc; i++) {
    hf_err e = replay_directory(argv[i], &count);
    if (hf_failed(e)) {
      hf_err_print(stderr, "replay", e);
      return 1;
    }
  }
  printf("%d seeds\n", count);
  return count > 0 ? 0 : 1;
}
