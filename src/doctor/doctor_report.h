/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor found, as JSON. */
#ifndef HF_DOCTOR_DOCTOR_REPORT_H
#define HF_DOCTOR_DOCTOR_REPORT_H

#include "doctor/doctor.h"

#include <jansson.h>

/* The document: its "checks" are what doctor_report_add appends. NULL without memory. */
json_t *doctor_report_new(void);

/* code, title, verdict; then, as far as there are any, detail, error (code, error, hint), because, values. */
hf_err doctor_report_add(json_t *report, const struct doctor_finding *finding);

/* "healthy", and how many there were of each verdict. */
hf_err doctor_report_end(json_t *report, const struct doctor_summary *summary);

#endif
