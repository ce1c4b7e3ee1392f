/* Calls each function of a shim and glibc's own of the same name with the same arguments, and prints where they differ:
   shim_driver SHIM. At the end it prints how many calls it has compared for each function. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUFFER = 256 };

struct seen {
	long long result;
	int error;
	char buffer[BUFFER];
};

typedef long long any(void *, struct seen *, int, long);

static struct seen *shared;
static const char *texts[] = {"", "a", "word", "12345678", "123456789 123456", "%d"};
#define TEXT(n) texts[(n) % 6]

/* What is returned is compared: pointers as where they point in the buffer. */
#define IN(pointer) ((char *)(pointer) - seen->buffer)

#define COPY(name) \
	static long long do_##name(void *f, struct seen *seen, int n, long room) \
	{ return IN(((void *(*)(void *, const void *, size_t, size_t))f)(seen->buffer, "0123456789abcdefghijklmn", n, room)); }
COPY(memcpy) COPY(memmove) COPY(mempcpy)
static long long do_memset(void *f, struct seen *seen, int n, long room)
{ return IN(((void *(*)(void *, int, size_t, size_t))f)(seen->buffer, 'x', n, room)); }
static long long do_bzero(void *f, struct seen *seen, int n, long room)
{ ((void (*)(void *, size_t, size_t))f)(seen->buffer, n, room); return 0; }
static long long do_strcpy(void *f, struct seen *seen, int n, long room)
{ return IN(((char *(*)(char *, const char *, size_t))f)(seen->buffer, TEXT(n), room)); }
static long long do_strncpy(void *f, struct seen *seen, int n, long room)
{ return IN(((char *(*)(char *, const char *, size_t, size_t))f)(seen->buffer, TEXT(n), n, room)); }
static long long do_strcat(void *f, struct seen *seen, int n, long room)
{ strcpy(seen->buffer, TEXT(n + 2)); return IN(((char *(*)(char *, const char *, size_t))f)(seen->buffer, TEXT(n), room)); }
static long long do_strncat(void *f, struct seen *seen, int n, long room)
{
	strcpy(seen->buffer, TEXT(n / 2));
	return IN(((char *(*)(char *, const char *, size_t, size_t))f)(seen->buffer, TEXT(n), n / 3, room));
}
static long long do_sprintf(void *f, struct seen *seen, int n, long room)
{ return ((int (*)(char *, int, size_t, const char *, ...))f)(seen->buffer, 1, room, "%s-%d", TEXT(n), n); }
static long long do_snprintf(void *f, struct seen *seen, int n, long room)
{ return ((int (*)(char *, size_t, int, size_t, const char *, ...))f)(seen->buffer, n, 1, room, "%s-%.2f", TEXT(n), n / 3.0); }
static int listed(void *f, struct seen *seen, int n, long room, int sized, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = sized
		? ((int (*)(char *, size_t, int, size_t, const char *, va_list))f)(seen->buffer, n, 1, room, format, list)
		: ((int (*)(char *, int, size_t, const char *, va_list))f)(seen->buffer, 1, room, format, list);
	va_end(list);
	return result;
}
static long long do_vsprintf(void *f, struct seen *seen, int n, long room)
{ return listed(f, seen, n, room, 0, "%s+%x", TEXT(n), n); }
static long long do_vsnprintf(void *f, struct seen *seen, int n, long room)
{ return listed(f, seen, n, room, 1, "%s+%x", TEXT(n), n); }

static long long do_read(void *f, struct seen *seen, int n, long room)
{
	int ends[2];
	if (pipe(ends) || write(ends[1], "0123456789", 10) != 10)
		return -2;
	return ((ssize_t (*)(int, void *, size_t, size_t))f)(ends[0], seen->buffer, n, room);
}
static long long do_recv(void *f, struct seen *seen, int n, long room)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || write(ends[1], "0123456789", 10) != 10)
		return -2;
	return ((ssize_t (*)(int, void *, size_t, size_t, int))f)(ends[0], seen->buffer, n, room, n ? 0 : MSG_DONTWAIT);
}
static long long do_readlink(void *f, struct seen *seen, int n, long room)
{ return ((ssize_t (*)(const char *, char *, size_t, size_t))f)("/proc/self/exe", seen->buffer, n, room); }
static long long do_getcwd(void *f, struct seen *seen, int n, long room)
{ return !((char *(*)(char *, size_t, size_t))f)(seen->buffer, n, room); }
static long long do_gethostname(void *f, struct seen *seen, int n, long room)
{ return ((int (*)(char *, size_t, size_t))f)(seen->buffer, n, room); }
static long long do_realpath(void *f, struct seen *seen, int n, long room)
{ (void)seen; static char large[8192]; return !((char *(*)(const char *, char *, size_t))f)("/usr/..", large, n * 400 + room); }
static long long do_poll(void *f, struct seen *seen, int n, long room)
{
	struct pollfd *files = (void *)seen->buffer;
	for (int at = 0; at < n && at < BUFFER / 8; at++)
		files[at].fd = -1;
	return ((int (*)(void *, unsigned long, int, size_t))f)(files, n, 0, room);
}
static long long do_fread(void *f, struct seen *seen, int n, long room)
{
	FILE *stream = fmemopen("0123456789abcdef", 16, "r");
	return ((size_t (*)(void *, size_t, size_t, size_t, FILE *))f)(seen->buffer, room, 2, n == 24 ? (size_t)1 << 63 : n, stream);
}
static long long do_fdelt(void *f, struct seen *seen, int n, long room)
{ (void)seen; return ((long (*)(long))f)(room == -1 ? room : room * 16 + n - 1); }

static long long printed(struct seen *seen, int file, int result)
{
	off_t length = lseek(file, 0, SEEK_END);
	if (pread(file, seen->buffer, BUFFER, 0) != length)
		return -2;
	return result * 1000 + length;
}
static int listed_to(void *f, FILE *stream, int file, char **to, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = to ? ((int (*)(char **, int, const char *, va_list))f)(to, 1, format, list)
		: stream ? ((int (*)(FILE *, int, const char *, va_list))f)(stream, 1, format, list)
		: file >= 0 ? ((int (*)(int, int, const char *, va_list))f)(file, 1, format, list)
		: ((int (*)(int, const char *, va_list))f)(1, format, list);
	va_end(list);
	return result;
}
static int a_file(void) { return memfd_create("out", 0); }
#define FORMAT "%s %5d|%-4x|%c\n", TEXT(n), n, (unsigned)room, 'c'
static long long do_printf(void *f, struct seen *seen, int n, long room)
{ int file = a_file(); dup2(file, 1); int r = ((int (*)(int, const char *, ...))f)(1, FORMAT); fflush(stdout); return printed(seen, file, r); }
static long long do_vprintf(void *f, struct seen *seen, int n, long room)
{ int file = a_file(); dup2(file, 1); int r = listed_to(f, 0, -1, 0, FORMAT); fflush(stdout); return printed(seen, file, r); }
static long long do_fprintf(void *f, struct seen *seen, int n, long room)
{ int file = a_file(); FILE *s = fdopen(dup(file), "w"); int r = ((int (*)(FILE *, int, const char *, ...))f)(s, 1, FORMAT); fflush(s); return printed(seen, file, r); }
static long long do_vfprintf(void *f, struct seen *seen, int n, long room)
{ int file = a_file(); FILE *s = fdopen(dup(file), "w"); int r = listed_to(f, s, -1, 0, FORMAT); fflush(s); return printed(seen, file, r); }
static long long do_dprintf(void *f, struct seen *seen, int n, long room)
{ int file = a_file(); int r = ((int (*)(int, int, const char *, ...))f)(file, 1, FORMAT); return printed(seen, file, r); }
static long long do_vdprintf(void *f, struct seen *seen, int n, long room)
{ int file = a_file(); int r = listed_to(f, 0, file, 0, FORMAT); return printed(seen, file, r); }
static long long do_asprintf(void *f, struct seen *seen, int n, long room)
{ char *to; int r = ((int (*)(char **, int, const char *, ...))f)(&to, 1, FORMAT); strcpy(seen->buffer, to); return r; }
static long long do_vasprintf(void *f, struct seen *seen, int n, long room)
{ char *to; int r = listed_to(f, 0, -1, &to, FORMAT); strcpy(seen->buffer, to); return r; }

static const char *numbers[] = {"", " ", "0", "-0", "+7", " \t\n42x", "0x1F", "-0x", "017", "08", "0b", "0b2", "0b1", "0B101",
	"-0b11", "+0b0", " -0b1z", "0b 1", "0b-1", "b1", "--1", "99999999999999999999", "-99999999999999999999",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "18446744073709551616",
	"0b111111111111111111111111111111111111111111111111111111111111111", "zz", "1_0", "0b12",
	"0b1000000000000000000000000000000000000000000000000000000000000000",
	"-0b1000000000000000000000000000000000000000000000000000000000000000",
	"-0b1000000000000000000000000000000000000000000000000000000000000001",
	"0b1111111111111111111111111111111111111111111111111111111111111111",
	"-0b1111111111111111111111111111111111111111111111111111111111111111",
	"0b10000000000000000000000000000000000000000000000000000000000000000",
	"-0b10000000000000000000000000000000000000000000000000000000000000000"};
static const int bases[] = {0, 2, 8, 10, 16, 36};
static long long do_number(void *f, struct seen *seen, int n, long room)
{
	(void)n;
	long long sum = 0;
	int *errors = (int *)seen->buffer;
	for (unsigned at = 0; at < sizeof numbers / sizeof *numbers; at++) {
		char *end = 0;
		errno = 0;
		long long value = ((long long (*)(const char *, char **, int))f)(numbers[at], &end, bases[room % 6]);
		errors[at % 60] += errno * (at + 1) + (int)(end - numbers[at]) * 77;
		sum = sum * 31 + value;
	}
	return sum;
}
static const char *scanned[] = {"12 word", "-7 x", "0x1f q", "", "99999999999999 z", "a b"};
static long long do_sscanf(void *f, struct seen *seen, int n, long room)
{
	int number = (int)room;
	int r = ((int (*)(const char *, const char *, ...))f)(scanned[n % 6], n & 1 ? "%d %8s" : "%x%n", &number, seen->buffer);
	return r * 100000LL + number % 10000;
}
static int scanned_by(void *f, const char *text, FILE *stream, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = text ? ((int (*)(const char *, const char *, va_list))f)(text, format, list)
		: stream ? ((int (*)(FILE *, const char *, va_list))f)(stream, format, list)
		: ((int (*)(const char *, va_list))f)(format, list);
	va_end(list);
	return result;
}
static FILE *holding(const char *text)
{ int file = a_file(); if (write(file, text, strlen(text)) < 0) return 0; lseek(file, 0, SEEK_SET); return fdopen(file, "r"); }
static long long do_vsscanf(void *f, struct seen *seen, int n, long room)
{ int x = (int)room; int r = scanned_by(f, scanned[n % 6], 0, "%i %8s", &x, seen->buffer); return r * 100000LL + x % 10000; }
static long long do_fscanf(void *f, struct seen *seen, int n, long room)
{ int x = (int)room; int r = ((int (*)(FILE *, const char *, ...))f)(holding(scanned[n % 6]), "%i %8s", &x, seen->buffer); return r * 100000LL + x % 10000; }
static long long do_vfscanf(void *f, struct seen *seen, int n, long room)
{ int x = (int)room; int r = scanned_by(f, 0, holding(scanned[n % 6]), "%i %8s", &x, seen->buffer); return r * 100000LL + x % 10000; }
static long long do_scanf(void *f, struct seen *seen, int n, long room)
{ int x = (int)room; dup2(fileno(holding(scanned[n % 6])), 0); int r = ((int (*)(const char *, ...))f)("%i %8s", &x, seen->buffer); return r * 100000LL + x % 10000; }
static long long do_vscanf(void *f, struct seen *seen, int n, long room)
{ int x = (int)room; dup2(fileno(holding(scanned[n % 6])), 0); int r = scanned_by(f, 0, 0, "%i %8s", &x, seen->buffer); return r * 100000LL + x % 10000; }

static long long do_strdup(void *f, struct seen *seen, int n, long room)
{ (void)room; strcpy(seen->buffer, ((char *(*)(const char *))f)(TEXT(n))); return 0; }
static long long do_strndup(void *f, struct seen *seen, int n, long room)
{ strcpy(seen->buffer, ((char *(*)(const char *, size_t))f)(TEXT(n), room)); return 0; }
static long long do_strtok(void *f, struct seen *seen, int n, long room)
{
	(void)room;
	char *held = 0, *word = seen->buffer;
	long long sum = 0;
	strcpy(word, TEXT(n));
	for (char *at = word; (at = ((char *(*)(char *, const char *, char **))f)(at, "w 5", &held)); at = 0)
		sum = sum * 100 + IN(at);
	return sum;
}
static long long do_plain_mempcpy(void *f, struct seen *seen, int n, long room)
{ (void)room; return IN(((void *(*)(void *, const void *, size_t))f)(seen->buffer, "0123456789abcdefghijklmn", n)); }
static long long do_rawmemchr(void *f, struct seen *seen, int n, long room)
{ (void)room; strcpy(seen->buffer, TEXT(n)); return IN(((void *(*)(const void *, int))f)(seen->buffer, n & 1 ? 0 : seen->buffer[n / 8])); }
static long long do_getenv(void *f, struct seen *seen, int n, long room)
{ (void)seen; (void)room; char *held = ((char *(*)(const char *))f)(n & 1 ? "SHIM_TEST" : "SHIM_NONE"); return held ? held[0] : -1; }
static long long do_getauxval(void *f, struct seen *seen, int n, long room)
{ (void)seen; (void)room; return (long long)((unsigned long (*)(unsigned long))f)(n); }

static const struct { const char *name; any *call; } calls[] = {
	{"__memcpy_chk", do_memcpy}, {"__memmove_chk", do_memmove}, {"__mempcpy_chk", do_mempcpy}, {"__memset_chk", do_memset},
	{"__explicit_bzero_chk", do_bzero}, {"__strcpy_chk", do_strcpy}, {"__stpcpy_chk", do_strcpy},
	{"__strncpy_chk", do_strncpy}, {"__stpncpy_chk", do_strncpy}, {"__strcat_chk", do_strcat},
	{"__strncat_chk", do_strncat}, {"__sprintf_chk", do_sprintf}, {"__snprintf_chk", do_snprintf},
	{"__vsprintf_chk", do_vsprintf}, {"__vsnprintf_chk", do_vsnprintf}, {"__read_chk", do_read}, {"__recv_chk", do_recv},
	{"__readlink_chk", do_readlink}, {"__getcwd_chk", do_getcwd}, {"__gethostname_chk", do_gethostname},
	{"__realpath_chk", do_realpath}, {"__poll_chk", do_poll}, {"__fread_chk", do_fread}, {"__fdelt_chk", do_fdelt},
	{"__fdelt_warn", do_fdelt}, {"__printf_chk", do_printf}, {"__vprintf_chk", do_vprintf}, {"__fprintf_chk", do_fprintf},
	{"__vfprintf_chk", do_vfprintf}, {"__dprintf_chk", do_dprintf}, {"__vdprintf_chk", do_vdprintf},
	{"__asprintf_chk", do_asprintf}, {"__vasprintf_chk", do_vasprintf}, {"__isoc23_strtol", do_number},
	{"__isoc23_strtoll", do_number}, {"__isoc23_strtoul", do_number}, {"__isoc23_strtoull", do_number},
	{"__isoc23_sscanf", do_sscanf}, {"__isoc23_vsscanf", do_vsscanf}, {"__isoc23_fscanf", do_fscanf},
	{"__isoc23_vfscanf", do_vfscanf}, {"__isoc23_scanf", do_scanf}, {"__isoc23_vscanf", do_vscanf},
	{"__strdup", do_strdup}, {"__strndup", do_strndup}, {"__strtok_r", do_strtok}, {"__mempcpy", do_plain_mempcpy},
	{"__rawmemchr", do_rawmemchr}, {"rawmemchr", do_rawmemchr}, {"__secure_getenv", do_getenv},
	{"__getauxval", do_getauxval},
};
static const int sizes[] = {0, 1, 2, 5, 8, 9, 15, 24};
static const long rooms[] = {0, 1, 4, 5, 9, 10, 16, 64, 4096, -1};

/* Calls a function in a process of its own; how that ends is what it comes to. */
static int ended(any *call, void *f, int size, long room)
{
	int status;
	memset(shared, '.', sizeof *shared);
	pid_t child = fork();
	if (!child) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 2);
		errno = 0;
		shared->result = call(f, shared, size, room);
		shared->error = shared->result < 0 ? errno : 0;
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

int main(int count, char **words)
{
	void *shim = dlopen(count > 1 ? words[1] : "", RTLD_NOW | RTLD_LOCAL);
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	if (!shim || !libc)
		return printf("cannot load: %s\n", dlerror()), 2;
	setenv("SHIM_TEST", "here", 1);
	shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned at = 0; at < sizeof calls / sizeof *calls; at++) {
		const char *name = calls[at].name;
		void *ours = dlsym(shim, name), *theirs = dlvsym(libc, name, "GLIBC_2.2.5");
		int compared = 0, aborted = 0;
		theirs = theirs ? theirs : dlsym(libc, name);
		if (!theirs || !ours || theirs == ours) {
			printf("%s %s\n", ours ? "absent" : "lacking", name);
			continue;
		}
		for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
			for (unsigned j = 0; j < sizeof rooms / sizeof *rooms; j++) {
				static struct seen first;
				int one = ended(calls[at].call, ours, sizes[i], rooms[j]);
				first = *shared;
				int other = ended(calls[at].call, theirs, sizes[i], rooms[j]);
				compared++;
				aborted += WIFSIGNALED(other);
				if (one != other || (!one && memcmp(&first, shared, sizeof first)))
					printf("differs %s(%d, %ld): status %d and %d, result %lld and %lld\n", name, sizes[i], rooms[j],
					       one, other, first.result, shared->result);
			}
		printf("compared %s %d %d\n", name, compared, aborted);
	}
	return 0;
}
