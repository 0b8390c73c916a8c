// The filter; see seccomp.hpp. A list of what is forbidden, not of what is allowed: foreign libraries use more calls
// than anybody could list, and what hurts is known. Needs no_new_privs, which limits.cpp sets.
#include "probe/worker/seccomp.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <iterator>
#include <vector>

namespace vital::worker {
namespace {

#if defined(__x86_64__)
constexpr unsigned own_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned own_architecture = AUDIT_ARCH_AARCH64;
#else
constexpr unsigned own_architecture = 0;
#endif

constexpr unsigned forbidden[] = {
    // other processes' memory
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    // file systems and namespaces
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_setns,
    SYS_unshare,
    SYS_open_by_handle_at,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_swapon,
    SYS_swapoff,
    SYS_quotactl,
    SYS_acct,
    // the kernel itself
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    SYS_lookup_dcookie,
    SYS_vhangup,
    // the host's clock and name
    SYS_clock_settime,
    SYS_settimeofday,
    SYS_sethostname,
    SYS_setdomainname,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
#ifdef SYS_quotactl_fd
    SYS_quotactl_fd,
#endif
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
};

sock_filter statement(unsigned short code, unsigned value) { return BPF_STMT(code, value); }
sock_filter jump(unsigned short code, unsigned value, unsigned char if_true, unsigned char if_false) {
  return BPF_JUMP(code, value, if_true, if_false);
}

std::vector<sock_filter> program(unsigned action) {
  constexpr auto load = static_cast<unsigned short>(BPF_LD | BPF_W | BPF_ABS);
  constexpr auto equal = static_cast<unsigned short>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto at_least = static_cast<unsigned short>(BPF_JMP | BPF_JGE | BPF_K);
  constexpr auto answer = static_cast<unsigned short>(BPF_RET | BPF_K);
  std::vector<sock_filter> out;
  // Another architecture's numbers mean other calls.
  out.push_back(statement(load, offsetof(seccomp_data, arch)));
  out.push_back(jump(equal, own_architecture, 1, 0));
  out.push_back(statement(answer, action));
  out.push_back(statement(load, offsetof(seccomp_data, nr)));
#if defined(__x86_64__)
  out.push_back(jump(at_least, 0x40000000U, 0, 1));  // x32, the same calls by other numbers
  out.push_back(statement(answer, action));
#endif
  for (const unsigned number : forbidden) {
    out.push_back(jump(equal, number, 0, 1));
    out.push_back(statement(answer, action));
  }
  out.push_back(statement(answer, SECCOMP_RET_ALLOW));
  return out;
}

}  // namespace

bool filter_system_calls(std::string_view mode) {
  if (mode != "log" && mode != "enforce") return true;
  if (own_architecture == 0) return false;
  std::vector<sock_filter> filter = program(mode == "log" ? SECCOMP_RET_LOG : SECCOMP_RET_KILL_PROCESS);
  const sock_fprog whole{static_cast<unsigned short>(filter.size()), filter.data()};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0;
}

}  // namespace vital::worker
