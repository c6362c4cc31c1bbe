/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answers: a row a path. What may wait for the token or the disk is done in the pool. */
#ifndef HF_CA_SERVICE_H
#define HF_CA_SERVICE_H

#include "ca/grant.h"
#include "httpd/front.h"

enum { SERVICE_STUCK_S = 60 }; /* what takes longer in the pool will never end */

struct service;

/* pool is borrowed and must be gone before service_free. */
hf_err service_new(struct authority *authority, struct pool *pool, struct service **ret_service);
struct service *service_free(struct service *service);
HF_DEFINE_CLEANUP(struct service, service_free)

/* For requests from now on. */
void service_set_authority(struct service *service, struct authority *authority);

/* A front's on_request; arg is the service. */
void service_request(struct front *front, struct evhttp_request *request, void *arg);

#endif
