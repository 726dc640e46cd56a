/* run/report.h: the reports of a run: whole files or none. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include "run/state.h"

/* run/report.c */
/* path NULL: there is none. Lands with ARGUMENT when it would take the model's place. */
void run_open_report(struct run *run, const char *path, struct output *report);
/* Before the model appears, so that a full disk is known by then. A stream takes nothing back and is
 * written to once, however often the output's name is taken. */
void run_write_report(struct run *run, const char *path, struct output *report,
                      const char *(*tell)(const struct plan *plan, const struct summary *summary), bool again);
void run_finish_report(const char *path, struct output *report);

#endif
