/* One inference; with EMPTY_IMAGE nothing, and the difference of the two images is what a model costs.
 * With PREPARE it prepares the input too. Only linked and measured, never run. */
#include <stdint.h>

volatile int8_t image_sink;

int main(void)
{
#ifndef EMPTY_IMAGE
#ifdef PREPARE
    model_prepare((const model_raw *)&image_sink, model_input());
#else
    *model_input() = image_sink;
#endif
    model_invoke();
    image_sink = *model_output();
#else
    image_sink = 0;
#endif
    return 0;
}
