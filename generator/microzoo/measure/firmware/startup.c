/* The least that a Cortex-M needs before main: a vector table, initial values for .data, zeros for .bss. */
#include <stdint.h>

extern uint32_t image_stack_top, image_data_load, image_data_start, image_data_end, image_bss_start, image_bss_end;
int main(void);

void image_reset(void)
{
    const uint32_t *from = &image_data_load;
    uint32_t *to;

    for (to = &image_data_start; to < &image_data_end;)
        *to++ = *from++;
    for (to = &image_bss_start; to < &image_bss_end;)
        *to++ = 0;
    main();
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) const void *const image_vectors[2] = {&image_stack_top, (const void *)image_reset};
