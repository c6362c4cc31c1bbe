/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching a host, and how its absence reads. */
#include "gateway/net.h"
#include "hf_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listening socket on 127.0.0.1, and its address. */
static int listen_somewhere(struct config_address *ret_address)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t len = sizeof(at);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(fd, 1), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  char text[32];
  snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
  assert_true(config_address_parse(text, "1", ret_address));
  return fd;
}

static void test_connects(void **state)
{
  (void)state;
  struct config_address address;
  int server = listen_somewhere(&address), fd = -1;
  struct addrinfo *found = NULL;
  assert_hf_ok(net_resolve(&address, &found));
  char text[64];
  net_format_addresses(found, text, sizeof(text));
  assert_string_equal(text, "127.0.0.1");
  assert_hf_ok(net_connect(found, net_now_ms() + 5000, &fd));
  assert_true(fd >= 0);
  freeaddrinfo(found);
  close(fd);
  close(server);
}

static void test_nobody_listens(void **state)
{
  (void)state;
  struct config_address address;
  close(listen_somewhere(&address));
  int fd = -1;
  struct addrinfo *found = NULL;
  assert_hf_ok(net_resolve(&address, &found));
  assert_hf_err(net_connect(found, net_now_ms() + 5000, &fd), UNREACHABLE);
  assert_contains(hf_err_context(), "127.0.0.1: Connection refused");
  assert_int_equal(fd, -1);
  freeaddrinfo(found);
}

static void test_the_time_is_kept(void **state)
{
  (void)state;
  struct config_address address;
  int server = listen_somewhere(&address), fd = -1;
  struct addrinfo *found = NULL;
  assert_hf_ok(net_resolve(&address, &found));
  assert_hf_ok(net_connect(found, net_now_ms() + 5000, &fd));
  int64_t start = net_now_ms();
  hf_err e = net_wait(fd, POLLIN, start + 50, "a word");
  assert_hf_err(e, TIMEOUT);
  assert_string_equal(hf_err_context(), "a word");
  assert_in_range((uint64_t)(net_now_ms() - start), 50, 2000);
  freeaddrinfo(found);
  close(fd);
  close(server);
}

static void test_a_name_that_does_not_exist(void **state)
{
  (void)state;
  struct config_address address;
  assert_true(config_address_parse("nowhere.invalid", "8883", &address));
  struct addrinfo *found = NULL;
  hf_err e = net_resolve(&address, &found);
  assert_hf_err(e, UNREACHABLE);
  assert_contains(hf_err_context(), "nowhere.invalid: ");
  assert_contains(hf_err_hint(e), "name");
  assert_null(found);
}

static void test_a_list_too_long_for_its_place_is_cut_between_addresses(void **state)
{
  (void)state;
  struct addrinfo *one = NULL, *two = NULL;
  struct config_address address;
  assert_true(config_address_parse("127.0.0.1", "1", &address));
  assert_hf_ok(net_resolve(&address, &one));
  assert_hf_ok(net_resolve(&address, &two));
  one->ai_next = two;
  char text[64], small[16];
  net_format_addresses(one, text, sizeof(text));
  assert_string_equal(text, "127.0.0.1, 127.0.0.1");
  net_format_addresses(one, small, sizeof(small));
  assert_string_equal(small, "127.0.0.1");
  one->ai_next = NULL;
  freeaddrinfo(one);
  freeaddrinfo(two);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_connects),
    cmocka_unit_test(test_nobody_listens),
    cmocka_unit_test(test_the_time_is_kept),
    cmocka_unit_test(test_a_name_that_does_not_exist),
    cmocka_unit_test(test_a_list_too_long_for_its_place_is_cut_between_addresses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
