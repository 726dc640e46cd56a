/* run/report.h: the reports of a run: whole files or none. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include "run/state.h"

/* run/report.c */
/* path NULL: no report. Lands with ARGUMENT if it would overwrite the model. */
void run_open_report(struct run *run, const char *path, struct output *report);
/* Writes the report before the model appears, so that a full disk is detected in time. A stream cannot be undone, so
 * it is written only once, even if the output must be written again. */
void run_write_report(struct run *run, const char *path, struct output *report,
                      const char *(*tell)(const struct plan *plan, const struct summary *summary), bool again);
void run_finish_report(const char *path, struct output *report);

#endif
