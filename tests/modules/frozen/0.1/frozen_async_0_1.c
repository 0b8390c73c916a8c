/* An async module of the same day, with every service of the first headers one after the other: a timer, a name, a
 * command, a descriptor. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ext/loop.h"
#include "ext/resolve.h"
#include "ext/spawn.h"
#include "module.h"

struct instance {
  const vital_host* host;
  const vital_loop* loop;
  const vital_resolve* resolve;
  const vital_spawn* spawn;
  const vital_probe* probe;
  vital_timer* timer;
  vital_query* query;
  vital_child* child;
  vital_watch* watch;
  int pipe[2];
};

static void close_pipe(struct instance* self) {
  self->loop->unwatch(self->watch);
  self->watch = NULL;
  close(self->pipe[0]);
  close(self->pipe[1]);
  self->pipe[0] = -1;
}

static void finish(struct instance* self, uint32_t verdict, const char* text) {
  vital_result result;
  const vital_probe* probe = self->probe;
  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  result.verdict = verdict;
  result.cause = verdict == VITAL_PASS ? VITAL_CAUSE_NONE : VITAL_CAUSE_CONTENT;
  result.text = text;
  self->probe = NULL;
  self->host->finish(self->host, probe, &result);
}

static void readable(void* user, int fd, uint32_t events) {
  struct instance* self = user;
  char byte = 0;
  const int is_good = (events & VITAL_READABLE) != 0 && read(fd, &byte, 1) == 1 && byte == 'x';
  close_pipe(self);
  finish(self, is_good ? VITAL_PASS : VITAL_FAIL, "timer, name, command, descriptor");
}

static void ended(void* user, const vital_ended* how) {
  struct instance* self = user;
  self->child = NULL;
  if (how->how != VITAL_SPAWN_EXITED || how->code != 0 || strcmp(how->output, "hello\n") != 0) {
    finish(self, VITAL_FAIL, how->text);
    return;
  }
  if (pipe(self->pipe) != 0 || write(self->pipe[1], "x", 1) != 1) abort();
  self->watch = self->loop->watch(self->host, self->pipe[0], VITAL_READABLE, readable, self);
}

static void resolved(void* user, const vital_addresses* answer) {
  static const char* const argv[] = {"/bin/echo", "hello", NULL};
  struct instance* self = user;
  vital_command command;
  self->query = NULL;
  if (answer->status != VITAL_RESOLVED || answer->count != 1 || strcmp(answer->addresses[0], "127.0.0.1") != 0) {
    finish(self, VITAL_FAIL, answer->text);
    return;
  }
  memset(&command, 0, sizeof command);
  command.size = sizeof command;
  command.argv = argv;
  command.output_limit = 100;
  command.timeout_ns = 5000000000u;
  self->child = self->spawn->start(self->host, &command, ended, self);
}

static void fired(void* user) {
  struct instance* self = user;
  self->timer = NULL;
  self->query = self->resolve->resolve(self->host, "127.0.0.1", 4, 1000000000u, resolved, self);
}

static int create(const vital_host* host, const vital_values* values, void** instance, vital_error* error) {
  struct instance* self = calloc(1, sizeof *self);
  (void)values;
  (void)error;
  if (self == NULL) return 1;
  self->host = host;
  self->loop = host->service(host, VITAL_SERVICE_LOOP);
  self->resolve = host->service(host, VITAL_SERVICE_RESOLVE);
  self->spawn = host->service(host, VITAL_SERVICE_SPAWN);
  self->pipe[0] = -1;
  *instance = self;
  return 0;
}

static void probe(void* instance, const vital_probe* probe_) {
  struct instance* self = instance;
  self->probe = probe_;
  self->timer = self->loop->timer(self->host, 1000000u, fired, self);
}

static void cancel(void* instance, const vital_probe* probe_) {
  struct instance* self = instance;
  if (self->probe != probe_) return;
  self->loop->disarm(self->timer);
  self->resolve->withdraw(self->query);
  self->spawn->give_up(self->child);
  if (self->pipe[0] >= 0) close_pipe(self);
  self->timer = NULL;
  self->query = NULL;
  self->child = NULL;
  self->probe = NULL;
}

static void destroy(void* instance) { free(instance); }

static const vital_module module = {sizeof(vital_module),
                                    VITAL_ABI_MAGIC,
                                    VITAL_ABI_MAJOR,
                                    VITAL_ABI_MINOR,
                                    VITAL_ASYNC,
                                    "frozen_async_0_1",
                                    "1.0",
                                    "built with the first headers",
                                    0,
                                    0,
                                    NULL,
                                    create,
                                    destroy,
                                    probe,
                                    cancel};

const vital_module* vital_module_entry(uint32_t host_abi_major, uint32_t host_abi_minor) {
  (void)host_abi_minor;
  return host_abi_major == VITAL_ABI_MAJOR ? &module : NULL;
}
