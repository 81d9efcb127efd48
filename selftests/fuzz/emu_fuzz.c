// SPDX-License-Identifier: MIT
/*
 * Description: libFuzzer target of what fixar-emu takes from outside: messages of vfio-user, with and without the socket
 * around them, and lines of the control socket. The card's threads run, so descriptors and commands that a message starts
 * are worked on.
 *
 * The first byte of an input says what the rest is:
 *
 *	M	messages, handed to vfio_user_handle(): command, kind of descriptors, length (2 bytes), body. Kind: bits 1:0
 *		0 memory, 1 an event, 2 a pipe, 3 memory that is too short; bits 4:2 how many of them come.
 *		Commands from 0xf0 on are this program's own:
 *		0xf0 offset (4 bytes), bytes: host memory; 0xf1 the same: card memory; 0xf2: waits until the card is idle
 *	S	bytes from a socket, handed to vfio_user_serve()
 *	C	lines, handed to control_request()
 *
 * Besides the sanitizers' findings, these are findings: a descriptor that is lost, an answer longer than there is room
 * for, a request without an answer.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "card.h"
#include "control.h"
#include "vfio_user.h"

#define CARD_BYTES 0x400000u
#define HOST_BYTES 0x20000u
#define WAIT_MOST 2000 /* turns of 10 us */

enum { OWN_HOST = 0xf0, OWN_CARD = 0xf1, OWN_WAIT = 0xf2 };

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct card *card;
static int host; /* memory of the client */
static int quit;

static void expect(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "fuzz: %s\n", what);
		abort();
	}
}

static int count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	expect(folder, "no /proc");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	struct card_options options;

	(void)count;
	(void)arguments;
	card_default_options(&options);
	options.memory_size = CARD_BYTES;
	options.ecc = true;
	options.function_reset = true;
	expect(!card_create(&options, &card) && !card_start(card), "no card");
	host = memfd_create("host", MFD_CLOEXEC);
	expect(host >= 0 && !ftruncate(host, HOST_BYTES), "no memory");
	quit = eventfd(0, EFD_CLOEXEC);
	return 0;
}

static void pause_shortly(void)
{
	const struct timespec time = { 0, 10000 };

	nanosleep(&time, NULL);
}

static void wait_idle(void)
{
	bool busy = true;

	for (int turn = 0; busy && turn < WAIT_MOST; turn++) {
		pthread_mutex_lock(&card->lock);
		busy = core_busy(&card->core) || card->core.resetting;
		for (unsigned i = 0; i < XDMA_CHANNELS; i++)
			busy |= card->xdma.channel[i].status & FIXAR_XDMA_STATUS_BUSY;
		pthread_mutex_unlock(&card->lock);
		if (busy)
			pause_shortly();
	}
}

/* ---- Messages ---- */

static int open_descriptor(unsigned kind)
{
	int ends[2], fd;

	switch (kind) {
	case 0:
		return dup(host);
	case 1:
		return eventfd(0, EFD_CLOEXEC);
	case 2:
		expect(!pipe2(ends, O_CLOEXEC), "no pipe");
		close(ends[0]);
		return ends[1];
	default:
		fd = memfd_create("short", MFD_CLOEXEC);
		expect(fd >= 0 && !ftruncate(fd, 100), "no memory");
		return fd;
	}
}

static void own(unsigned command, const uint8_t *body, size_t bytes)
{
	uint32_t offset;
	unsigned char *place;

	if (command == OWN_WAIT)
		wait_idle();
	if (command == OWN_WAIT || bytes < sizeof(offset))
		return;
	memcpy(&offset, body, sizeof(offset));
	body += sizeof(offset);
	bytes -= sizeof(offset);
	if (command == OWN_HOST && offset < HOST_BYTES && bytes <= HOST_BYTES - offset)
		expect(pwrite(host, body, bytes, offset) == (ssize_t)bytes, "cannot write host memory");
	place = command == OWN_CARD ? card_memory_at(&card->memory, offset, bytes) : NULL;
	if (!place)
		return;
	wait_idle();
	pthread_mutex_lock(&card->lock);
	memcpy(place, body, bytes);
	card_memory_wrote(&card->memory, offset, bytes);
	core_memory_changed(card);
	pthread_mutex_unlock(&card->lock);
}

static void one_message(unsigned command, unsigned kind, const uint8_t *body, size_t bytes)
{
	static struct vfio_user_reply reply;
	int fds[8];
	struct vfio_user_message message = {
		.header = { .command = (uint16_t)command, .size = (uint32_t)(sizeof(message.header) + bytes) },
		.body_bytes = (uint32_t)bytes,
		.fds = fds,
		.fd_count = kind >> 2 & 7,
	};
	/* Exactly as long as it says, so that a byte too many is noticed. */
	uint8_t *copy = malloc(bytes + !bytes);

	memcpy(copy, body, bytes);
	message.body = copy;
	for (unsigned i = 0; i < message.fd_count; i++)
		fds[i] = open_descriptor(kind & 3);
	vfio_user_handle(card, &message, &reply);
	expect(reply.body_bytes <= sizeof(reply.body), "an answer that is too long");
	expect(!reply.error || !reply.body_bytes, "an error with a body");
	for (unsigned i = 0; i < message.fd_count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(copy);
}

static void messages(const uint8_t *bytes, size_t size)
{
	while (size >= 4) {
		const unsigned command = bytes[0], kind = bytes[1];
		size_t length = (size_t)(bytes[2] | bytes[3] << 8);

		bytes += 4;
		size -= 4;
		length = length < size ? length : size;
		if (command >= OWN_HOST)
			own(command, bytes, length);
		else
			one_message(command, kind, bytes, length);
		bytes += length;
		size -= length;
	}
}

/* ---- The socket ---- */

/* Reads the answers and forgets them. */
static void *drain(void *socket)
{
	char answers[4096];

	while (read(*(int *)socket, answers, sizeof(answers)) > 0)
		;
	return NULL;
}

struct stream {
	const uint8_t *bytes;
	size_t size;
	int socket;
};

static void *feed(void *argument)
{
	const struct stream *stream = argument;
	size_t done = 0;

	while (done < stream->size) {
		const ssize_t sent = send(stream->socket, stream->bytes + done, stream->size - done, MSG_NOSIGNAL);

		if (sent <= 0)
			break;
		done += (size_t)sent;
	}
	shutdown(stream->socket, SHUT_WR);
	return NULL;
}

static void serve(const uint8_t *bytes, size_t size)
{
	struct stream stream = { bytes, size, -1 };
	pthread_t reader, writer;
	int ends[2];

	expect(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "no sockets");
	stream.socket = ends[0];
	expect(!pthread_create(&reader, NULL, drain, &ends[0]), "no thread");
	expect(!pthread_create(&writer, NULL, feed, &stream), "no thread");
	vfio_user_serve(card, ends[1], quit);
	pthread_join(writer, NULL);
	pthread_join(reader, NULL);
	close(ends[0]);
}

/* ---- Control ---- */

static void control(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), *save, *line;

	memcpy(text, bytes, size);
	text[size] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool end;
		json_t *answer = control_request(card, line, &end);
		char *said = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

		expect(said, "a request without an answer");
		expect(!strchr(said, '\n'), "an answer of more than one line");
		free(said);
		json_decref(answer);
	}
	free(text);
}

/* ---- All ---- */

static void clean(void)
{
	pthread_mutex_lock(&card->lock);
	faults_disarm(card, NULL);
	card_power_cycle(card);
	card->core.time_of_memory = 0;
	interrupts_forget(&card->interrupts);
	record_clear(&card->record);
	pthread_mutex_unlock(&card->lock);
	dma_map_clear(&card->dma);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int descriptors;

	if (!size)
		return 0;
	clean();
	/* Before each input, because the fuzzer opens files of its own between them. */
	descriptors = count_descriptors();
	if (*bytes == 'M')
		messages(bytes + 1, size - 1);
	else if (*bytes == 'S')
		serve(bytes + 1, size - 1);
	else if (*bytes == 'C')
		control(bytes + 1, size - 1);
	clean();
	expect(count_descriptors() == descriptors, "a descriptor is lost");
	return 0;
}
