#include "command.h"
int command_dump(int count, char **arguments)
{
    (void)count;
    (void)arguments;
    return TROUBLE;
}
