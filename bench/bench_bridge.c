/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages with QoS 1 from the local broker to a cloud: through holdfast's bridge, and through the one that stock mosquitto has built
 * in. Throughput (rounds take turns, figures are medians), latency, a cloud that is 50 ms away, and what is left of the messages when
 * things die. Both brokers are mosquitto; the clients are in this program, which takes a part of the machine for itself.
 */
#include "delay_proxy.h"
#include "mqtt_load.h"
#include "p11_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum {
  ROUNDS = 3,
  THROUGHPUT_COUNT = 100000,
  PAYLOAD_BYTES = 100,
  WINDOW = 2000,
  LATENCY_RATE = 1000,
  FAR_MS = 25, /* one way */
  FAR_COUNT = 20000,
  FAR_COUNT_STOCK = 1000,
  FAULT_RATE = 1000,
  NOT_THERE = 0
};

/* Who carries the messages. */
enum carrier { HOLDFAST, HOLDFAST_PROCESS, MOSQUITTO, CARRIERS };
static const char *const carrier_names[CARRIERS] = { "holdfast, power", "holdfast, process", "mosquitto" };

static struct bench {
  const char *dir, *worker, *powercut;
  enum carrier carrier;
  unsigned local_port, cloud_port, far_port; /* far_port: where the bridge finds the cloud */
  pid_t local, cloud, bridge;
  int orders; /* the bridge's standard input */
  unsigned run;
  bool watched; /* by powercut */
} bench;

static void tear_down(void);

static void fail(const char *what)
{
  fprintf(stderr, "bench: %s\n", what);
  tear_down();
  rig_remove_dir();
  exit(1);
}

/* Ports and processes */

static unsigned free_port(void)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t len = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&address, len) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
    fail("no port");
  close(fd);
  return ntohs(address.sin_port);
}

static void pause_ms(long ms)
{
  nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static bool answers(unsigned port)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  bool good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
  close(fd);
  return good;
}

static void path_in(char *out, size_t size, const char *name)
{
  snprintf(out, size, "%s/%s-%u", bench.dir, name, bench.run);
}

/* A mosquitto on the port; lines goes into its configuration. */
static void write_conf(const char *name, unsigned port, const char *lines)
{
  char conf[RIG_PATH_MAX], data[RIG_PATH_MAX + 4];
  path_in(conf, sizeof(conf), name);
  snprintf(data, sizeof(data), "%s.d", conf);
  mkdir(data, 0700);
  FILE *f = fopen(conf, "w");
  if (!f)
    fail(conf);
  fprintf(f,
          "listener %u 127.0.0.1\nallow_anonymous true\n%smax_queued_messages 0\nlog_type error\npersistence true\n"
          "persistence_location %s/\n%s",
          port, geteuid() == 0 ? "user root\n" : "", data, lines);
  fclose(f);
}

static pid_t start_mosquitto(const char *name, unsigned port)
{
  char conf[RIG_PATH_MAX];
  path_in(conf, sizeof(conf), name);
  pid_t pid = fork();
  if (pid == 0) {
    if (!freopen("/dev/null", "w", stderr))
      _exit(127);
    execlp("mosquitto", "mosquitto", "-c", conf, (char *)NULL);
    _exit(127);
  }
  for (int i = 0; i < 500 && !answers(port); i++)
    pause_ms(10);
  if (!answers(port))
    fail("mosquitto does not start");
  return pid;
}

static void kill_now(pid_t *pid)
{
  if (*pid <= 0)
    return;
  kill(*pid, SIGKILL);
  waitpid(*pid, NULL, 0);
  *pid = NOT_THERE;
}

static void run_worker(const int orders[2], const int report[2])
{
  char local[32], cloud[32], spool[RIG_PATH_MAX + 8], durability[32];
  snprintf(local, sizeof(local), "local_port=%u", bench.local_port);
  snprintf(cloud, sizeof(cloud), "cloud_port=%u", bench.far_port);
  snprintf(spool, sizeof(spool), "spool=%s/spool-%u", bench.dir, bench.run);
  snprintf(durability, sizeof(durability), "durability=%s", bench.carrier == HOLDFAST_PROCESS ? "process" : "power");
  dup2(orders[0], STDIN_FILENO);
  dup2(report[1], STDOUT_FILENO);
  close(orders[1]);
  close(report[0]);
  setenv("HOLDFAST_LOG", "stderr", 1);
  if (bench.watched)
    setenv("LD_PRELOAD", bench.powercut, 1);
  if (!freopen("/dev/null", "w", stderr))
    _exit(127);
  execl(bench.worker, bench.worker, "-", local, cloud, "cloud_host=127.0.0.1", spool, durability,
        "topics=up/# out 1 local/ cloud/", "size=268435456", "max_ms=1000", (char *)NULL);
  _exit(127);
}

static void start_worker(void)
{
  int orders[2], report[2];
  char byte;
  if (pipe(orders) != 0 || pipe(report) != 0)
    fail("pipe");
  bench.bridge = fork();
  if (bench.bridge == 0)
    run_worker(orders, report);
  close(orders[0]);
  close(report[1]);
  bench.orders = orders[1];
  if (read(report[0], &byte, 1) != 1)
    fail("the bridge does not start");
  /* Left open: the bridge's end of it must not break. */
}

static void start_local(void)
{
  bench.local = start_mosquitto("local", bench.local_port);
}

static void start_cloud(void)
{
  bench.cloud = start_mosquitto("cloud", bench.cloud_port);
}

static void kill_bridge(void)
{
  kill_now(&bench.bridge);
  close(bench.orders);
}

/* Both brokers and the bridge, new, for one run. far_ms: how far the cloud is. */
static void set_up(enum carrier carrier, unsigned far_ms)
{
  char bridge[512] = "max_inflight_messages 0\n";
  bench.carrier = carrier;
  bench.run++;
  bench.local_port = free_port();
  bench.cloud_port = bench.far_port = free_port();
  if (far_ms > 0) {
    bench.far_port = free_port();
    delay_proxy_start(bench.far_port, bench.cloud_port, far_ms);
  }
  if (carrier == MOSQUITTO)
    snprintf(bridge, sizeof(bridge),
             "%sconnection cloud\naddress 127.0.0.1:%u\ntopic up/# out 1 local/ cloud/\nclientid device\ncleansession "
             "false\n"
             "bridge_protocol_version mqttv50\nrestart_timeout 1 1\n",
             far_ms > 0 ? "" : "max_inflight_messages 1000\n", bench.far_port);
  write_conf("local", bench.local_port, bridge);
  write_conf("cloud", bench.cloud_port, "max_inflight_messages 0\n");
  start_cloud();
  start_local();
  if (carrier != MOSQUITTO)
    start_worker();
  pause_ms(700);
  /* Its sessions to disk, as its autosave would have put them there sooner or later. */
  kill(bench.local, SIGUSR1);
  pause_ms(200);
}

static void tear_down(void)
{
  if (bench.bridge > 0)
    kill_bridge();
  kill_now(&bench.local);
  kill_now(&bench.cloud);
}

static struct load_options options_now(void)
{
  return (struct load_options){ .publish_port = bench.local_port,
                                .subscribe_port = bench.cloud_port,
                                .topic = "local/up/x",
                                .filter = "cloud/up/#",
                                .window = WINDOW,
                                .size = PAYLOAD_BYTES,
                                .patience = 3 };
}

/* Figures */

static double throughput(enum carrier carrier, unsigned far_ms, unsigned count)
{
  set_up(carrier, far_ms);
  struct load_options options = options_now();
  options.count = count;
  struct load_result result = load_run(&options);
  tear_down();
  if (result.received < count)
    fprintf(stderr, "bench: %s: %u of %u messages\n", carrier_names[carrier], result.received, count);
  return result.received / result.seconds;
}

static void show_throughput(void)
{
  double rates[CARRIERS][ROUNDS], ratios[CARRIERS][ROUNDS];
  for (int r = 0; r < ROUNDS; r++)
    for (unsigned c = 0; c < CARRIERS; c++)
      rates[c][r] = throughput((enum carrier)c, 0, THROUGHPUT_COUNT);
  printf("%-24s %12s %12s\n", "bridge", "messages/s", "/mosquitto");
  for (int c = 0; c < CARRIERS; c++) {
    for (int r = 0; r < ROUNDS; r++)
      ratios[c][r] = rates[c][r] / rates[MOSQUITTO][r];
    double ratio = rig_median(ratios[c], ROUNDS);
    if (c != MOSQUITTO)
      printf("%-24s %12.0f %12.2f\n", carrier_names[c], rig_median(rates[c], ROUNDS), ratio);
  }
  printf("%-24s %12.0f %12.2f\n\n", carrier_names[MOSQUITTO], rig_median(rates[MOSQUITTO], ROUNDS), 1.0);
}

static void show_latency(void)
{
  printf("%-24s %12s %12s\n", "at 1,000 messages/s", "p50 ms", "p99 ms");
  for (unsigned c = 0; c < CARRIERS; c++) {
    set_up((enum carrier)c, 0);
    struct load_options options = options_now();
    options.seconds = 4;
    options.rate = LATENCY_RATE;
    struct load_result result = load_run(&options);
    tear_down();
    printf("%-24s %12.2f %12.2f\n", carrier_names[c], result.p50_ms, result.p99_ms);
  }
  putchar('\n');
}

static void show_far(void)
{
  printf("%-24s %12s\n", "50 ms away, defaults", "messages/s");
  printf("%-24s %12.0f\n", carrier_names[HOLDFAST], throughput(HOLDFAST, FAR_MS, FAR_COUNT));
  printf("%-24s %12.0f\n\n", carrier_names[MOSQUITTO], throughput(MOSQUITTO, FAR_MS, FAR_COUNT_STOCK));
}

/* Faults */

static void cloud_dies(void *arg)
{
  (void)arg;
  kill_now(&bench.cloud);
}

static void cloud_comes(void *arg)
{
  (void)arg;
  start_cloud();
}

static void bridge_dies(void *arg)
{
  (void)arg;
  kill_bridge();
  start_worker();
}

static void local_dies(void *arg)
{
  (void)arg;
  kill_now(&bench.local);
}

static void local_comes(void *arg)
{
  (void)arg;
  start_local();
}

/* All that is on the device, at one moment; of the spool, only what was synced is there afterwards. */
static void power_goes(void *arg)
{
  char data[RIG_PATH_MAX + 16], synced[RIG_PATH_MAX + 32];
  (void)arg;
  if (bench.bridge > 0)
    kill(bench.bridge, SIGKILL);
  kill(bench.local, SIGKILL);
  if (bench.bridge > 0)
    kill_bridge();
  kill_now(&bench.local);
  snprintf(data, sizeof(data), "%s/spool-%u/data.mdb", bench.dir, bench.run);
  snprintf(synced, sizeof(synced), "%s.synced", data);
  if (bench.carrier != MOSQUITTO && rename(synced, data) != 0)
    fail(synced);
}

static void power_comes(void *arg)
{
  local_comes(arg);
  if (bench.carrier != MOSQUITTO)
    start_worker();
}

static const struct fault {
  const char *name;
  double seconds;
  bool own_bridge; /* a bridge that is a process of its own */
  struct load_event events[6];
} faults[] = {
  { "cloud killed for 10 s", 13, false, { { 1, cloud_dies }, { 11, cloud_comes } } },
  { "bridge killed 3 times", 4, true, { { 1, bridge_dies }, { 2, bridge_dies }, { 3, bridge_dies } } },
  { "cloud away, broker killed",
    6,
    false,
    { { 1, cloud_dies }, { 3, local_dies }, { 3.3, local_comes }, { 5, cloud_comes } } },
  { "cloud away, power cut",
    6,
    false,
    { { 1, cloud_dies }, { 3, power_goes }, { 3.3, power_comes }, { 5, cloud_comes } } },
};

static void show_fault(const struct fault *fault, enum carrier carrier)
{
  bench.watched = fault->events[1].run == power_goes && carrier == HOLDFAST;
  set_up(carrier, 0);
  struct load_options options = options_now();
  options.seconds = fault->seconds;
  options.rate = FAULT_RATE;
  options.events = fault->events;
  struct load_result result = load_run(&options);
  tear_down();
  bench.watched = false;
  printf("%-26s %-16s %7u %7u %8u %6u %6u %8u\n", fault->name, carrier_names[carrier], result.sent, result.acknowledged,
         result.received, result.lost, result.twice, result.disordered);
}

static void show_faults(void)
{
  printf("%-26s %-16s %7s %7s %8s %6s %6s %8s\n", "at 1,000 messages/s", "bridge", "sent", "acked", "received", "lost",
         "twice", "order");
  for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
    show_fault(&faults[i], HOLDFAST);
    if (!faults[i].own_bridge)
      show_fault(&faults[i], MOSQUITTO);
  }
}

int main(int argc, char **argv)
{
  if (argc != 3) {
    fprintf(stderr, "usage: bench_bridge PATH-OF-bridge_worker PATH-OF-powercut.so\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  bench.dir = rig_make_dir();
  bench.worker = argv[1];
  bench.powercut = argv[2];
  printf("Messages of %d bytes, QoS 1, from the local broker to the cloud's.\n\n", PAYLOAD_BYTES);
  show_throughput();
  show_latency();
  show_far();
  show_faults();
  rig_remove_dir();
  return 0;
}
