/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One executable of an image: starts Node with fixed flags and the bundle that this file stands for, then its own arguments. Compiled once per
 * executable without a C library (src/launcher.ts), so that it needs nothing of the image and runs from any path under any name.
 *
 *   WEFT_NODE     path of Node
 *   WEFT_ARGS     Node's flags and the bundle, as a list of string literals
 *   WEFT_AMBIENT  capabilities by number to hand on, as a list; absent where there are none
 *
 * Handing on: an ordinary executable inherits no capability from a process of another user than root, unless it is ambient (capabilities(7)).
 * The file's own capabilities put them into the permitted set, also under no_new_privs where the container has them already; from there they
 * become inheritable and ambient, so that Node, an ordinary executable, and the commands that Node starts have them as well.
 */

#if defined(__x86_64__)
enum { SYS_WRITE = 1, SYS_EXECVE = 59, SYS_EXIT = 60, SYS_CAPGET = 125, SYS_CAPSET = 126, SYS_PRCTL = 157 };

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall launch\n");

static long call(long number, long a, long b, long c, long d, long e) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
enum { SYS_WRITE = 64, SYS_EXECVE = 221, SYS_EXIT = 93, SYS_CAPGET = 90, SYS_CAPSET = 91, SYS_PRCTL = 167 };

__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tbl launch\n");

static long call(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#else
#error "no system calls are known for this architecture"
#endif

enum { STDERR = 2, EXIT_CANNOT_EXECUTE = 126 };

static const char *const ARGS[] = {WEFT_ARGS};
enum { ARGS_COUNT = sizeof ARGS / sizeof ARGS[0] };

static void say(const char *text) {
  long bytes = 0;
  while (text[bytes] != 0) bytes++;
  call(SYS_WRITE, STDERR, (long)text, bytes, 0, 0);
}

#ifdef WEFT_AMBIENT
enum { CAPABILITY_VERSION_3 = 0x20080522, PR_CAP_AMBIENT = 47, PR_CAP_AMBIENT_RAISE = 2 };

static const unsigned AMBIENT[] = {WEFT_AMBIENT};
enum { AMBIENT_COUNT = sizeof AMBIENT / sizeof AMBIENT[0] };

/* All numbers are below 32: the first of the two sets. A missing one is left to the command that needs it: what it then says is clearer. */
static void hand_on_capabilities(void) {
  struct { unsigned version; int pid; } header = {CAPABILITY_VERSION_3, 0};
  struct { unsigned effective, permitted, inheritable; } sets[2];
  if (call(SYS_CAPGET, (long)&header, (long)sets, 0, 0, 0) != 0) return;
  for (int i = 0; i < AMBIENT_COUNT; i++) sets[0].inheritable |= sets[0].permitted & (1u << AMBIENT[i]);
  header.version = CAPABILITY_VERSION_3;
  if (call(SYS_CAPSET, (long)&header, (long)sets, 0, 0, 0) != 0) say("weft: the capabilities could not be made inheritable\n");
  for (int i = 0; i < AMBIENT_COUNT; i++) {
    if ((sets[0].permitted & (1u << AMBIENT[i])) == 0) continue;
    if (call(SYS_PRCTL, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, AMBIENT[i], 0, 0) != 0) say("weft: a capability could not be made ambient\n");
  }
}
#endif

/* The kernel's start of a process: argument count, arguments, null, environment, null. Does not return. */
void launch(long *stack) {
  long count = stack[0];
  const char **given = (const char **)(stack + 1);
  const char **environment = given + count + 1;
  /* Node's command line: the name that this process has, flags and bundle, then the arguments that were given. */
  const char *args[1 + ARGS_COUNT + count + 1];
  long length = 0;
  args[length++] = count > 0 ? given[0] : WEFT_NODE;
  for (int i = 0; i < ARGS_COUNT; i++) args[length++] = ARGS[i];
  for (long i = 1; i < count; i++) args[length++] = given[i];
  args[length] = 0;
#ifdef WEFT_AMBIENT
  hand_on_capabilities();
#endif
  call(SYS_EXECVE, (long)WEFT_NODE, (long)args, (long)environment, 0, 0);
  say("weft: cannot execute " WEFT_NODE "\n");
  call(SYS_EXIT, EXIT_CANNOT_EXECUTE, 0, 0, 0, 0);
  __builtin_unreachable();
}
