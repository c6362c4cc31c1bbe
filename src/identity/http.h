/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPS requests, one at a time: EST and a cloud's REST. By libcurl; every wait and every size has an end. */
#ifndef HF_IDENTITY_HTTP_H
#define HF_IDENTITY_HTTP_H

#include "base/buf.h"
#include "base/secret.h"
#include "config/config.h"
#include "identity/openssl.h"

/* What holds for all requests to one server. Borrowed until http_free. */
struct http_options {
  const char
      *root_path; /* certificates that the server's is checked with: a file, or a directory as c_rehash leaves it */
  const char *url_key, *root_key; /* the configuration's keys of URL and root_path, for hints: "est.url" */
  const STACK_OF(X509) * chain;   /* who we are in TLS, and its key (identity_key_load); both NULL: nobody */
  EVP_PKEY *key;
  const struct config *config; /* for proxy.*; NULL: no proxy. The environment's proxies are not looked at */
  unsigned connect_timeout_s;  /* reaching it and shaking hands; 0: HTTP_CONNECT_TIMEOUT_S */
  unsigned timeout_s;          /* a request in all; 0: HTTP_TIMEOUT_S */
  unsigned stall_timeout_s; /* not 0: a request lasts as long as it wants, but ends where nothing comes for so long */
  /* Called about once a second and at every piece, in the caller's thread; false ends the request. May be NULL. */
  bool (*progress)(void *arg, uint64_t received, uint64_t expected);
  void *progress_arg; /* expected: 0 where it is not known */
};

enum { HTTP_CONNECT_TIMEOUT_S = 15, HTTP_TIMEOUT_S = 60, HTTP_TYPE_MAX = 128, HTTP_HEADERS_MAX = 8 };
enum { HTTP_ETAG_MAX = 256 };

struct http;

/* For one thread at a time; keeps its connection between requests. The program ignores SIGPIPE: OpenSSL's writes may raise it. */
hf_err http_new(const struct http_options *options, struct http **ret_http);
struct http *http_free(struct http *http);
HF_DEFINE_CLEANUP(struct http, http_free)

struct http_response;

struct http_request {
  const char *url;                       /* https: anything else is refused */
  const char *method;                    /* NULL: GET, or POST where there is a body */
  struct hf_slice body;                  /* sent where content_type is given */
  const char *content_type;              /* NULL: no body */
  const char *accept;                    /* NULL: anything */
  const char *headers[HTTP_HEADERS_MAX]; /* more of them, "Name: value"; ends with NULL */
  const char *user;                      /* Basic authentication; NULL: none */
  struct hf_secret *password;
  /*
   * Takes the body of a 200 or 206 piece by piece in place of response->body; response has the rest. What it fails with, the
   * request fails with. NULL: none.
   */
  hf_err (*take)(void *arg, const struct http_response *response, struct hf_slice piece);
  void *take_arg;
};

/* Start with { .body = HF_BUF(limit) }; end with http_response_free. */
struct http_response {
  unsigned status;                  /* 200, ... */
  char content_type[HTTP_TYPE_MAX]; /* "" where there is none; parameters and all */
  unsigned retry_after_s;           /* 0 where there is none; a date is turned into seconds from now */
  char etag[HTTP_ETAG_MAX];         /* with its quotes; "" where there is none, or it is too long */
  bool has_range;                   /* Content-Range was sent: of a 206 where the body begins, and of what */
  uint64_t range_start, range_size; /* size 0: it is not known */
  bool has_length;
  uint64_t length; /* of this body */
  struct hf_buf body;
};

static inline void http_response_free(struct http_response *response)
{
  hf_buf_free(&response->body);
}

/*
 * Any answer of the server's is a success, also 404 and 500; redirections are not followed. What *response held is replaced.
 * Fails with UNREACHABLE, TLS (whose text tells who refuses whom and why), TIMEOUT, LIMIT (the body), CANCELLED, HTTP (no
 * answer that can be read), and what the key in the HSM fails with.
 */
hf_err http_perform(struct http *http, const struct http_request *request, struct http_response *response);

/* HTTP, PROXY or a hint for each status that is not what the caller wanted; tells status, reason, and the first words of a text. */
hf_err http_refused(const struct http_request *request, const struct http_response *response);

#endif
