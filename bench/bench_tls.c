/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3 handshakes a second, server and client in one thread, no session kept: the server's P-256 or RSA-2048 key in a
 * file's form, and in Holdfast's token through the provider, which has the token in its process or asks the key agent. They
 * take turns; figures are medians.
 */
#include "p11_rig.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/x509.h>

enum { ROUNDS = 9, CONTENDERS = 3 };

static const double slice_seconds = 0.3;

static void need(int ok, const char *what)
{
  if (ok)
    return;
  fprintf(stderr, "bench_tls: %s\n", what);
  ERR_print_errors_fp(stderr);
  rig_remove_dir();
  exit(1);
}

static X509 *self_signed(EVP_PKEY *key)
{
  X509 *cert = X509_new();
  X509_NAME *name = X509_get_subject_name(cert);
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1, -1, 0);
  X509_set_issuer_name(cert, name);
  X509_set_pubkey(cert, key);
  need(X509_sign(cert, key, EVP_sha256()) > 0, "a certificate");
  return cert;
}

static SSL_CTX *server_ctx(EVP_PKEY *key)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  X509 *cert = self_signed(key);
  need(SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1, "the server's key");
  SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
  SSL_CTX_set_num_tickets(ctx, 0);
  X509_free(cert);
  return ctx;
}

static EVP_PKEY *token_key(const char *type, const char *query)
{
  char uri[RIG_PATH_MAX + 128];
  EVP_PKEY *key = NULL;
  snprintf(uri, sizeof(uri), "pkcs11:token=bench;object=%s;type=private%s", type, query);
  OSSL_STORE_CTX *store = OSSL_STORE_open(uri, NULL, NULL, NULL, NULL);
  OSSL_STORE_INFO *info = store ? OSSL_STORE_load(store) : NULL;
  if (info)
    key = OSSL_STORE_INFO_get1_PKEY(info);
  OSSL_STORE_INFO_free(info);
  OSSL_STORE_close(store);
  need(key != NULL, uri);
  return key;
}

static void handshake(SSL_CTX *server, SSL_CTX *client)
{
  SSL *s = SSL_new(server), *c = SSL_new(client);
  BIO *to_server = NULL, *to_client = NULL;
  need(s && c && BIO_new_bio_pair(&to_server, 0, &to_client, 0) == 1, "a connection");
  SSL_set_bio(s, to_server, to_server);
  SSL_set_bio(c, to_client, to_client);
  SSL_set_accept_state(s);
  SSL_set_connect_state(c);
  for (int i = 0; i < 10 && !(SSL_is_init_finished(s) && SSL_is_init_finished(c)); i++) {
    SSL_do_handshake(c);
    SSL_do_handshake(s);
  }
  need(SSL_is_init_finished(s) && SSL_is_init_finished(c), "a handshake");
  SSL_free(s);
  SSL_free(c);
}

static double rate(SSL_CTX *server, SSL_CTX *client)
{
  double start = rig_now(), end;
  unsigned count = 0;
  do {
    handshake(server, client);
    count++;
  } while ((end = rig_now()) - start < slice_seconds);
  return count / (end - start);
}

static void label_key(const struct rig *rig, CK_OBJECT_HANDLE key, const char *label)
{
  CK_ATTRIBUTE attr = { CKA_LABEL, (void *)label, strlen(label) };
  CK_ATTRIBUTE id = { CKA_ID, (void *)label, strlen(label) };
  rig_check(rig, rig->f->C_SetAttributeValue(rig->session, key, &attr, 1), "C_SetAttributeValue");
  rig_check(rig, rig->f->C_SetAttributeValue(rig->session, key, &id, 1), "C_SetAttributeValue");
}

static void run(const char *type, EVP_PKEY *file_key, const char *agent, SSL_CTX *client)
{
  EVP_PKEY *keys[CONTENDERS] = { file_key, token_key(type, ""), token_key(type, agent) };
  SSL_CTX *servers[CONTENDERS];
  double rates[CONTENDERS][ROUNDS], ratios[CONTENDERS][ROUNDS];
  for (int k = 0; k < CONTENDERS; k++)
    servers[k] = server_ctx(keys[k]);
  for (int r = -1; r < ROUNDS; r++) /* the first warms up */
    for (int k = 0; k < CONTENDERS; k++) {
      double value = rate(servers[k], client);
      if (r >= 0)
        rates[k][r] = value;
    }
  for (int k = 0; k < CONTENDERS; k++)
    for (int r = 0; r < ROUNDS; r++)
      ratios[k][r] = rates[k][r] / rates[0][r];
  printf("%-9s %11.0f", type, rig_median(rates[0], ROUNDS));
  for (int k = 1; k < CONTENDERS; k++)
    printf(" %11.0f %8.2f", rig_median(rates[k], ROUNDS), rig_median(ratios[k], ROUNDS));
  putchar('\n');
  for (int k = 0; k < CONTENDERS; k++) {
    SSL_CTX_free(servers[k]);
    EVP_PKEY_free(keys[k]);
  }
}

/* As a program would have it: through openssl.cnf. */
static void load_provider(const char *dir, const char *module, const char *provider)
{
  char path[128];
  snprintf(path, sizeof(path), "%s/openssl.cnf", dir);
  FILE *f = fopen(path, "w");
  need(f != NULL, path);
  fprintf(f,
          "openssl_conf = init\n[init]\nproviders = list\n[list]\ndefault = d\nholdfast = h\n[d]\nactivate = 1\n"
          "[h]\nactivate = 1\nmodule = %s\nmodule-path = %s\npin-source = %s/pin\n",
          provider, module, dir);
  fclose(f);
  need(OSSL_LIB_CTX_load_config(NULL, path) == 1, "the provider");
}

int main(int argc, char **argv)
{
  struct rig rig;
  if (argc != 4) {
    fprintf(stderr, "usage: bench_tls PATH-OF-libholdfast-token.so PATH-OF-holdfast.so PATH-OF-holdfast-agent\n");
    return 2;
  }
  const char *dir = rig_make_dir();
  rig_open(&rig, RIG_HOLDFAST, argv[1], dir);
  label_key(&rig, rig_ec_key(&rig), "P-256");
  label_key(&rig, rig_rsa_key(&rig), "RSA-2048");
  char socket[RIG_PATH_MAX], query[RIG_PATH_MAX + 32];
  snprintf(socket, sizeof(socket), "%s/pkcs11.sock", dir);
  snprintf(query, sizeof(query), "?module-path=unix:path=%s", socket);
  pid_t agent = rig_start_agent(&(struct rig_agent){
      .program = argv[3], .module = argv[1], .dir = dir, .pkcs11_socket = socket, .audit = "off" });
  load_provider(dir, argv[1], argv[2]);
  SSL_CTX *client = SSL_CTX_new(TLS_client_method());
  printf("TLS 1.3 handshakes a second, both ends in one thread; \"/file\" is over the key in a file.\n\n");
  printf("%-9s %11s %11s %8s %11s %8s\n", "key", "file", "token", "/file", "agent", "/file");
  run("P-256", EVP_EC_gen("P-256"), query, client);
  run("RSA-2048", EVP_RSA_gen(2048), query, client);
  SSL_CTX_free(client);
  rig_stop(agent);
  rig_close(&rig);
  rig_remove_dir();
  return 0;
}
