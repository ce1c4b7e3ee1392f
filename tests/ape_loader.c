/* A loader of Actually Portable Executables for tests, made from the specification (cosmopolitan ape/specification.md).
 *
 *     ape_loader PROG ARGS...          as a script's loader, and as a handler of binfmt_misc without flag P
 *     ape_loader PROG ARGV0 ARGS...    as a handler with flag P (AT_FLAGS bit 0 says so)
 *
 * Reads the first 8192 bytes of PROG; where they begin with one of the three magics, each printf statement there may
 * hold an ELF header in octal. The first that is for this machine is mapped and started, on the stack that is there.
 * Exit status 127 and one line on standard error where there is none, or where it cannot be mapped.
 *
 * Freestanding: no C library, Linux on x86-64 and arm64 only.
 */

typedef unsigned long word;
typedef unsigned char byte;

#define HEAD 8192
#define TABLE 1024
#define PAGE_DEFAULT 4096

#if defined(__x86_64__)
#define MACHINE 62
enum { READ_AT = 17, OPEN_AT = 257, MAP = 9, PROTECT = 10, WRITE = 1, CLOSE = 3, EXIT = 231 };
__asm__(".globl _start\n_start:\n mov %rsp,%rdi\n and $-16,%rsp\n movabs $start,%rax\n call *%rax\n hlt\n");

static long call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static void launch(word *stack, word entry) {
  __asm__ volatile("mov %0,%%rsp\n xor %%edx,%%edx\n jmp *%1" : : "r"(stack), "r"(entry) : "memory");
}
#elif defined(__aarch64__)
#define MACHINE 183
enum { READ_AT = 67, OPEN_AT = 56, MAP = 222, PROTECT = 226, WRITE = 64, CLOSE = 57, EXIT = 94 };
__asm__(".globl _start\n_start:\n mov x0,sp\n b start\n");

static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
  return x0;
}

static void launch(word *stack, word entry) {
  __asm__ volatile("mov sp,%0\n mov x0,0\n br %1" : : "r"(stack), "r"(entry) : "x0", "memory");
}
#endif

struct header {
  byte ident[16];
  unsigned short type, machine;
  unsigned version;
  word entry, phoff, shoff;
  unsigned flags;
  unsigned short ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct segment {
  unsigned type, flags;
  word offset, vaddr, paddr, filesz, memsz, align;
};

static byte head[HEAD + 8];
static byte decoded[HEAD];
static struct segment table[TABLE / sizeof(struct segment)];

static void fail(const char *why) {
  word length = 0;
  while (why[length]) ++length;
  call(WRITE, 2, (long)"ape_loader: ", 12, 0, 0, 0);
  call(WRITE, 2, (long)why, length, 0, 0, 0);
  call(WRITE, 2, (long)"\n", 1, 0, 0, 0);
  call(EXIT, 127, 0, 0, 0, 0, 0);
  __builtin_unreachable();
}

static int begins(const byte *at, const char *text) {
  for (int i = 0; i < 8; ++i)
    if (at[i] != (byte)text[i]) return 0;
  return 1;
}

/* Decode the statement after its opening quote into `decoded`; the number of bytes that it writes. */
static word decode(const byte *at, const byte *end) {
  word length = 0;
  while (at < end && *at != '\'' && length < HEAD) {
    unsigned value = *at++;
    if (value == '\\' && *at >= '0' && *at <= '7') {
      value = 0;
      for (int digits = 0; digits < 3 && *at >= '0' && *at <= '7'; ++digits) value = value * 8 + (*at++ - '0');
    }
    decoded[length++] = (byte)value;
  }
  return length;
}

/* Find the header for this machine among the printf statements. */
static struct header *find(word size) {
  struct header *found = (struct header *)decoded;
  for (word at = 0; at + 8 <= size; ++at) {
    if (!begins(head + at, "printf '") || decode(head + at + 8, head + size) < sizeof *found) continue;
    if (found->ident[0] == 0x7f && found->ident[1] == 'E' && found->ident[2] == 'L' && found->ident[3] == 'F' &&
        found->ident[4] == 2 && (found->type == 2 || found->type == 3) && found->machine == MACHINE)
      return found;
  }
  return 0;
}

static void map(const struct segment *segment, int file, word page) {
  word skip = segment->vaddr & (page - 1);
  long protection = (segment->flags & 4 ? 1 : 0) | (segment->flags & 2 ? 2 : 0) | (segment->flags & 1 ? 4 : 0);
  word start = segment->vaddr - skip, end = segment->vaddr + segment->memsz;
  word filled = segment->vaddr + segment->filesz;
  word whole = (filled + page - 1) & -page;
  if (segment->vaddr % page != segment->offset % page) fail("a segment's address and offset do not fit the page size");
  if (segment->filesz &&
      call(MAP, start, skip + segment->filesz, protection, 0x12, file, segment->offset - skip) != (long)start)
    fail("a segment cannot be mapped");
  if (protection & 2)
    for (word at = filled; at < whole && at < end; ++at) *(byte *)at = 0;
  if (end > whole && call(MAP, whole, end - whole, protection, 0x32, -1, 0) != (long)whole)
    fail("a segment's memory cannot be had");
}

__attribute__((__used__, __noreturn__)) void start(word *stack) {
  word *words = stack + 1, *vector, page = PAGE_DEFAULT, flags = 0, drop;
  const char *program = (const char *)words[1];
  struct header *elf;
  long file, size;
  int has_entry = 0;

  if (stack[0] < 2) fail("no program is named");
  for (vector = words + stack[0] + 1; *vector; ++vector) continue;
  for (++vector; vector[0]; vector += 2) {
    if (vector[0] == 6) page = vector[1];
    if (vector[0] == 8) flags = vector[1];
  }
  file = call(OPEN_AT, -100, (long)program, 0, 0, 0, 0);
  if (file < 0) fail("the program cannot be opened");
  size = call(READ_AT, file, (long)head, HEAD, 0, 0, 0);
  if (size < 64) fail("the program is too small");
  if (!begins(head, "MZqFpD='") && !begins(head, "jartsr='") && !begins(head, "APEDBG='"))
    fail("the program has none of the three magics");
  if (!(elf = find(size))) fail("no ELF header for this machine in the first 8192 bytes");
  if (elf->phentsize != sizeof *table || elf->phnum * sizeof *table > TABLE) fail("its program headers are no table");
  if (call(READ_AT, file, (long)table, elf->phnum * sizeof *table, elf->phoff, 0, 0) !=
      (long)(elf->phnum * sizeof *table))
    fail("its program headers are cut off");
  for (int i = 0; i < elf->phnum; ++i) {
    if (table[i].type == 2 || table[i].type == 3) fail("it wants an interpreter");
    if (table[i].type == 1 && table[i].flags & 1 && elf->entry - table[i].vaddr < table[i].memsz) has_entry = 1;
  }
  if (!has_entry) fail("its entry lies in no code");
  for (int i = 0; i < elf->phnum; ++i)
    if (table[i].type == 1 && table[i].memsz) map(table + i, file, page);
  call(CLOSE, file, 0, 0, 0, 0, 0);

  /* Drop our own name, and the path where the kernel gave argv[0] too; the stack pointer keeps its alignment. */
  drop = flags & 1 && stack[0] > 2 ? 2 : 1;
  stack[0] -= drop;
  for (word *at = words; at + drop <= vector + 1; ++at) *at = at[drop];
  launch(stack, elf->entry);
  __builtin_unreachable();
}
