/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects created and destroyed a second on the disk, with 10,000 there already, next to how often the same disk syncs a small
 * file (fdatasync after a page). Holdfast syncs each change before it answers; its threads share syncs. SoftHSM2 does not sync. They
 * take turns in short rounds; medians, and ratios within a round.
 *
 * The store lies below the working directory: /tmp may be memory.
 */
#include "p11_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { OBJECTS = 10000, SOFTHSM2_OBJECTS = 1000, FILLERS = 16, THREADS = 8, ROUNDS = 7, PAGE = 4096, FILE_PAGES = 64 };

static const double slice_seconds = 0.4;

/* What a slice did: so many in so long. */
struct tally {
  unsigned long creates, destroys;
  double create_seconds, destroy_seconds;
};

static double sync_rate(int fd)
{
  static unsigned char page[PAGE];
  unsigned long count = 0;
  double start = rig_now();
  for (; rig_now() - start < slice_seconds; count++) {
    page[0]++;
    if (pwrite(fd, page, PAGE, (off_t)(count % FILE_PAGES) * PAGE) != PAGE || fdatasync(fd) != 0)
      abort();
  }
  return (double)count / (rig_now() - start);
}

struct changer {
  const struct rig *rig;
  CK_SESSION_HANDLE session;
  double end;
  struct tally tally;
};

/* Some are created, then the same are destroyed, until the time is over. */
static void *change(void *arg)
{
  enum { BATCH = 20 };
  struct changer *c = arg;
  CK_OBJECT_HANDLE made[BATCH];
  while (rig_now() < c->end) {
    double start = rig_now();
    for (int i = 0; i < BATCH; i++)
      made[i] = rig_data(c->rig, c->session, "for a moment");
    double middle = rig_now();
    for (int i = 0; i < BATCH; i++)
      rig_check(c->rig, c->rig->f->C_DestroyObject(c->session, made[i]), "C_DestroyObject");
    c->tally.creates += BATCH;
    c->tally.destroys += BATCH;
    c->tally.create_seconds += middle - start;
    c->tally.destroy_seconds += rig_now() - middle;
  }
  return NULL;
}

/* Changes a second, of all threads. */
static void change_rates(const struct rig *rig, struct changer *changers, int threads, double *ret_create,
                         double *ret_destroy)
{
  pthread_t ids[THREADS];
  double creates = 0, destroys = 0;
  for (int i = 0; i < threads; i++) {
    changers[i] = (struct changer){ rig, changers[i].session, rig_now() + slice_seconds, { 0 } };
    pthread_create(&ids[i], NULL, change, &changers[i]);
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    creates += (double)changers[i].tally.creates / changers[i].tally.create_seconds;
    destroys += (double)changers[i].tally.destroys / changers[i].tally.destroy_seconds;
  }
  *ret_create = creates;
  *ret_destroy = destroys;
}

/* A row of the table. */
struct row {
  const struct rig *rig;
  unsigned objects;
  int threads;
  double creates[ROUNDS], destroys[ROUNDS];
};

static void print_row(struct row *row, const double syncs[ROUNDS])
{
  double create_ratios[ROUNDS], destroy_ratios[ROUNDS];
  for (int r = 0; r < ROUNDS; r++) {
    create_ratios[r] = row->creates[r] / syncs[r];
    destroy_ratios[r] = row->destroys[r] / syncs[r];
  }
  printf("%-9s %9u %7d %11.0f %8.2f %11.0f %8.2f\n", row->rig->name, row->objects, row->threads,
         rig_median(row->creates, ROUNDS), rig_median(create_ratios, ROUNDS), rig_median(row->destroys, ROUNDS),
         rig_median(destroy_ratios, ROUNDS));
}

static void run(struct row *rows, int count, int fd)
{
  static struct changer changers[3][THREADS];
  double syncs[ROUNDS], copy[ROUNDS];
  for (int i = 0; i < count; i++)
    for (int t = 0; t < rows[i].threads; t++)
      changers[i][t].session = rig_session(rows[i].rig);
  for (int r = 0; r < ROUNDS; r++) {
    syncs[r] = sync_rate(fd);
    for (int i = 0; i < count; i++)
      change_rates(rows[i].rig, changers[i], rows[i].threads, &rows[i].creates[r], &rows[i].destroys[r]);
  }
  memcpy(copy, syncs, sizeof(copy));
  printf("fdatasync after a page: %.0f a second.\n\n", rig_median(copy, ROUNDS));
  printf("%-9s %9s %7s %11s %8s %11s %8s\n", "token", "objects", "threads", "create/s", "/sync", "destroy/s", "/sync");
  for (int i = 0; i < count; i++)
    print_row(&rows[i], syncs);
}

static int open_file(const char *dir)
{
  static unsigned char page[PAGE];
  char path[RIG_PATH_MAX];
  snprintf(path, sizeof(path), "%.200s/synced", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  for (int i = 0; i < FILE_PAGES; i++)
    if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE)
      abort();
  return fd;
}

int main(int argc, char **argv)
{
  struct rig holdfast, softhsm2;
  char where[RIG_PATH_MAX];
  const char *softhsm2_path = rig_softhsm2_path();
  if (argc != 2 || !getcwd(where, sizeof(where))) {
    fprintf(stderr, "usage: bench_writes PATH-OF-libholdfast-token.so\n");
    return 2;
  }
  const char *dir = rig_make_dir_below(where);
  int fd = open_file(dir);
  rig_open(&holdfast, RIG_HOLDFAST, argv[1], dir);
  rig_fill(&holdfast, 0, OBJECTS, FILLERS);
  if (softhsm2_path) {
    rig_open(&softhsm2, RIG_SOFTHSM2, softhsm2_path, dir);
    rig_fill(&softhsm2, 0, SOFTHSM2_OBJECTS, 1);
  }
  struct row rows[] = {
    { .rig = &holdfast, .objects = OBJECTS, .threads = 1 },
    { .rig = &holdfast, .objects = OBJECTS, .threads = THREADS },
    { .rig = &softhsm2, .objects = SOFTHSM2_OBJECTS, .threads = 1 },
  };
  run(rows, softhsm2_path ? 3 : 2, fd);
  rig_close(&holdfast);
  if (softhsm2_path)
    rig_close(&softhsm2);
  close(fd);
  rig_remove_dir();
  return 0;
}
