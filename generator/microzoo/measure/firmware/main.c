/* One inference; with EMPTY_IMAGE nothing, and the difference of the two images is what a model costs. */
#include <stdint.h>

volatile int8_t image_sink;

int main(void)
{
#ifndef EMPTY_IMAGE
    *model_input() = image_sink;
    model_invoke();
    image_sink = *model_output();
#else
    image_sink = 0;
#endif
    return 0;
}
