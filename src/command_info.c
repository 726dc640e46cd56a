#include "command.h"
int command_info(int count, char **arguments)
{
    (void)count;
    (void)arguments;
    return TROUBLE;
}
