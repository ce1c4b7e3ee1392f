/* What gcompat's stub does, in the place of glibc's loader: see runworthy/targets/gcompat.py for its source.
   It is compiled with LIBRARY, LINKER and NAME. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char library[] = LIBRARY " ";

int main(int count, char **words, char **env)
{
	static char preload[8192], program[4096];
	char *given = getenv("LD_PRELOAD");
	char **line = calloc(count + 7, sizeof *line);
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);

	if (length < 0)
		return 1;
	if (strstr(program, NAME)) {
		puts("This is the gcompat ELF interpreter stub.");
		return 1;
	}
	snprintf(preload, sizeof preload, "%s%s", library, given ? given : "");
	line[0] = NAME;
	line[1] = "--argv0";
	line[2] = words[0];
	line[3] = "--preload";
	line[4] = preload;
	line[5] = "--";
	line[6] = program;
	memcpy(line + 7, words + 1, (count - 1) * sizeof *line);
	execve(LINKER, line, env);
	perror("execve");
	return 1;
}
