// SPDX-License-Identifier: MIT
#include "device/options.h"

#include <errno.h>
#include <string.h>

int options_copy(void *known, size_t known_size, const void *given, size_t given_size)
{
	const unsigned char *bytes = given;

	if (!given)
		return 0;
	if (given_size < sizeof(size_t))
		return -EINVAL;
	for (size_t i = known_size; i < given_size; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(known, given, given_size < known_size ? given_size : known_size);
	memcpy(known, &known_size, sizeof(known_size));
	return 0;
}

int options_answer(void *given, size_t given_size, const void *known, size_t known_size)
{
	unsigned char *bytes = given;

	if (given_size < sizeof(size_t))
		return -EINVAL;
	memcpy(given, known, given_size < known_size ? given_size : known_size);
	if (given_size > known_size)
		memset(bytes + known_size, 0, given_size - known_size);
	memcpy(given, &given_size, sizeof(given_size));
	return 0;
}
