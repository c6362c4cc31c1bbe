/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast-core where no service manager has it: see struct service_manager. */
#ifndef HF_GATEWAY_SERVICE_PROCESS_H
#define HF_GATEWAY_SERVICE_PROCESS_H

#include "gateway/service.h"

hf_err service_process_start(const struct config *config);
hf_err service_process_stop(const struct config *config);
hf_err service_process_restart(const struct config *config);
hf_err service_process_reload(const struct config *config);
hf_err service_process_is_active(const struct config *config, bool *ret_active);
hf_err service_process_enable(const struct config *config);

#endif
