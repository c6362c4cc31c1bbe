/* SPDX-License-Identifier: Apache-2.0 */
#include "delay_proxy.h"

#include "gateway/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNKS = 4096, CHUNK_BYTES = 16 << 10 };

struct chunk {
  int64_t due_ms;
  size_t len, at;
  char data[CHUNK_BYTES];
};

/* One direction: what has come and waits for its time. */
struct lane {
  int from, to;
  size_t head, count;
  struct chunk chunks[CHUNKS];
};

struct proxy_thread {
  int listener;
  unsigned server_port, one_way_ms;
  struct lane lanes[2];
};

static struct sockaddr_in loopback(unsigned port)
{
  return (struct sockaddr_in){ .sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void no_delay(int fd)
{
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* False at the end of the connection. */
static bool take(struct lane *lane, unsigned one_way_ms)
{
  while (lane->count < CHUNKS) {
    struct chunk *chunk = &lane->chunks[(lane->head + lane->count) % CHUNKS];
    ssize_t n = recv(lane->from, chunk->data, CHUNK_BYTES, MSG_DONTWAIT);
    if (n <= 0)
      return n < 0 && errno == EAGAIN;
    chunk->due_ms = net_now_ms() + one_way_ms;
    chunk->len = (size_t)n;
    chunk->at = 0;
    lane->count++;
  }
  return true;
}

static bool give(struct lane *lane)
{
  int64_t now_ms = net_now_ms();
  while (lane->count > 0 && lane->chunks[lane->head].due_ms <= now_ms) {
    struct chunk *chunk = &lane->chunks[lane->head];
    ssize_t n = send(lane->to, chunk->data + chunk->at, chunk->len - chunk->at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
      return errno == EAGAIN;
    chunk->at += (size_t)n;
    if (chunk->at < chunk->len)
      return true;
    lane->head = (lane->head + 1) % CHUNKS;
    lane->count--;
  }
  return true;
}

static void pass_on(struct proxy_thread *proxy)
{
  struct lane *lanes = proxy->lanes;
  for (bool alive = true; alive;) {
    struct pollfd fds[2] = { { .fd = lanes[0].from, .events = POLLIN }, { .fd = lanes[1].from, .events = POLLIN } };
    poll(fds, 2, lanes[0].count + lanes[1].count > 0 ? 1 : 100);
    for (size_t i = 0; i < 2; i++)
      alive = alive && take(&lanes[i], proxy->one_way_ms) && give(&lanes[i]);
  }
}

static void *run(void *arg)
{
  struct proxy_thread *proxy = arg;
  for (;;) {
    int client = accept(proxy->listener, NULL, NULL), server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(proxy->server_port);
    if (client >= 0 && connect(server, (struct sockaddr *)&address, sizeof(address)) == 0) {
      no_delay(client);
      no_delay(server);
      proxy->lanes[0].from = proxy->lanes[1].to = client;
      proxy->lanes[0].to = proxy->lanes[1].from = server;
      proxy->lanes[0].count = proxy->lanes[1].count = 0;
      pass_on(proxy);
    }
    close(client);
    close(server);
  }
  return NULL;
}

void delay_proxy_start(unsigned listen_port, unsigned server_port, unsigned one_way_ms)
{
  struct proxy_thread *proxy = calloc(1, sizeof(*proxy));
  struct sockaddr_in address = loopback(listen_port);
  pthread_t thread;
  int on = 1;
  if (!proxy)
    exit(1);
  proxy->server_port = server_port;
  proxy->one_way_ms = one_way_ms;
  proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(proxy->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(proxy->listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(proxy->listener, 4) != 0 ||
      pthread_create(&thread, NULL, run, proxy) != 0) {
    perror("bench: the proxy");
    exit(1);
  }
  pthread_detach(thread);
}
