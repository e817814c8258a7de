// A Vulkan layer above RADV's null hardware (RADV_FORCE_FAMILY), on which wgpu opens a device and whole programs run
// without a GPU. Pipelines are compiled by the real compiler; nothing else is done: command buffers stay empty,
// submissions are over at once, and what is read back is zero, as memory is when it is new.
//
// It hides timeline semaphores (null hardware has none), and says that there is memory. What programs do is written
// to files, where these are asked for:
//   NULL_GPU_STATISTICS=FILE  every pipeline by its label: what the compiler says of it, and its assembly
//   NULL_GPU_TRACE=FILE       a line for whatever is recorded or submitted: see `trace` below
// Labels reach the driver with WGPU_DEBUG=1 only. tools/gpu_compiler.sh builds and uses it.

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))
#define HIDDEN_EXTENSION "VK_KHR_timeline_semaphore"

// What is below this layer.
static VkInstance instance;
static PFN_vkGetInstanceProcAddr next_instance;
static PFN_vkEnumerateDeviceExtensionProperties next_extensions;
static PFN_vkGetDeviceProcAddr next_device;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static FILE *statistics;
// P PIPELINE SECONDS LABEL: compiled in so much CPU time; D PIPELINE X Y Z: dispatched; I PIPELINE: with a grid that
// only the device knows; B: a barrier; C: a copy or a fill; S SECONDS: submitted, at this time
static FILE *trace;

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

static FILE *asked_for(const char *variable) {
  const char *path = getenv(variable);
  FILE *file = path ? fopen(path, "w") : NULL;
  if (path && !file) fprintf(stderr, "null_gpu: cannot write %s\n", path);
  return file;
}

__attribute__((constructor)) static void open_files(void) {
  statistics = asked_for("NULL_GPU_STATISTICS");
  trace = asked_for("NULL_GPU_TRACE");
}

__attribute__((destructor)) static void close_files(void) {
  if (statistics) fclose(statistics);
  if (trace) fclose(trace);
}

#define TRACE(...) do { \
    pthread_mutex_lock(&mutex); \
    if (trace) fprintf(trace, __VA_ARGS__); \
    pthread_mutex_unlock(&mutex); \
  } while (0)

// ---- Opening: the layer's chain, extensions, features

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info,
                                                      const VkAllocationCallbacks *allocator, VkInstance *out) {
  VkLayerInstanceCreateInfo *link = (void *)info->pNext;
  while (link->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO) {
    link = (void *)link->pNext;
  }
  next_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  VkResult result = ((PFN_vkCreateInstance)next_instance(NULL, "vkCreateInstance"))(info, allocator, out);
  instance = *out;
  next_extensions = (void *)next_instance(instance, "vkEnumerateDeviceExtensionProperties");
  return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL extensions(VkPhysicalDevice gpu, const char *layer, uint32_t *n,
                                                 VkExtensionProperties *out) {
  uint32_t all = 0, kept = 0;
  next_extensions(gpu, layer, &all, NULL);
  VkExtensionProperties *found = calloc(all, sizeof *found);
  next_extensions(gpu, layer, &all, found);
  for (uint32_t i = 0; i < all; i++) {
    if (!strcmp(found[i].extensionName, HIDDEN_EXTENSION)) continue;
    if (out && kept < *n) out[kept] = found[i];
    kept++;
  }
  *n = kept;
  free(found);
  return VK_SUCCESS;
}

// Adds what tells of compiled pipelines, where that is asked for.
static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice gpu, const VkDeviceCreateInfo *info,
                                                    const VkAllocationCallbacks *allocator, VkDevice *out) {
  VkLayerDeviceCreateInfo *link = (void *)info->pNext;
  while (link->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO) {
    link = (void *)link->pNext;
  }
  PFN_vkCreateDevice next = (void *)link->u.pLayerInfo->pfnNextGetInstanceProcAddr(instance, "vkCreateDevice");
  next_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  if (!statistics) return next(gpu, info, allocator, out);

  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
    .pNext = (void *)info->pNext,
    .pipelineExecutableInfo = VK_TRUE,
  };
  uint32_t n = info->enabledExtensionCount;
  const char **names = calloc(n + 1, sizeof *names);
  if (n) memcpy(names, info->ppEnabledExtensionNames, n * sizeof *names);
  names[n] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  VkDeviceCreateInfo more = *info;
  more.pNext = &feature;
  more.enabledExtensionCount = n + 1;
  more.ppEnabledExtensionNames = names;
  VkResult result = next(gpu, &more, allocator, out);
  free(names);
  return result;
}

// ---- Memory: one heap of the device, one of the host

#define SHARED (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)

static void memory(VkPhysicalDeviceMemoryProperties *out) {
  *out = (VkPhysicalDeviceMemoryProperties){
    .memoryTypeCount = 3,
    .memoryTypes = {
      {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0},
      {SHARED, 1},
      {SHARED | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1},
    },
    .memoryHeapCount = 2,
    .memoryHeaps = {{16ull << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}, {16ull << 30, 0}},
  };
}

static VKAPI_ATTR void VKAPI_CALL memory_of(VkPhysicalDevice gpu, VkPhysicalDeviceMemoryProperties *out) {
  memory(out);
}

static VKAPI_ATTR void VKAPI_CALL memory_of2(VkPhysicalDevice gpu, VkPhysicalDeviceMemoryProperties2 *out) {
  memory(&out->memoryProperties);
}

#define ANY_MEMORY 7  // a bit for each type above

static VKAPI_ATTR void VKAPI_CALL buffer_needs(VkDevice device, VkBuffer buffer, VkMemoryRequirements *out) {
  ((PFN_vkGetBufferMemoryRequirements)next_device(device, "vkGetBufferMemoryRequirements"))(device, buffer, out);
  out->memoryTypeBits = ANY_MEMORY;
}

static VKAPI_ATTR void VKAPI_CALL image_needs(VkDevice device, VkImage image, VkMemoryRequirements *out) {
  ((PFN_vkGetImageMemoryRequirements)next_device(device, "vkGetImageMemoryRequirements"))(device, image, out);
  out->memoryTypeBits = ANY_MEMORY;
}

// ---- Pipelines: compiled, timed, and told of by label

// What the driver keeps of a pipeline to tell. It then compiles each, whether it knows the code or not.
#define TOLD \
  (VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR)

static struct {
  VkPipeline pipeline;
  double compiled_in;
} *compiled;
static int count;

static int number_of(VkPipeline pipeline) {
  int i = count - 1;
  while (i >= 0 && compiled[i].pipeline != pipeline) i--;
  return i;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache cache, uint32_t n,
                                                       const VkComputePipelineCreateInfo *infos,
                                                       const VkAllocationCallbacks *allocator, VkPipeline *out) {
  PFN_vkCreateComputePipelines next = (void *)next_device(device, "vkCreateComputePipelines");
  for (uint32_t i = 0; i < n; i++) {
    VkComputePipelineCreateInfo info = infos[i];
    if (statistics) info.flags |= TOLD;
    double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    VkResult result = next(device, cache, 1, &info, allocator, &out[i]);
    if (result) return result;
    double took = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    pthread_mutex_lock(&mutex);
    compiled = realloc(compiled, (count + 1) * sizeof *compiled);
    compiled[count].pipeline = out[i];
    compiled[count++].compiled_in = took;
    pthread_mutex_unlock(&mutex);
  }
  return VK_SUCCESS;
}

static void write_numbers(VkDevice device, const VkPipelineExecutableInfoKHR *executable) {
  PFN_vkGetPipelineExecutableStatisticsKHR next =
    (void *)next_device(device, "vkGetPipelineExecutableStatisticsKHR");
  uint32_t n = 0;
  next(device, executable, &n, NULL);
  VkPipelineExecutableStatisticKHR *found = calloc(n, sizeof *found);
  for (uint32_t i = 0; i < n; i++) {
    found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
  }
  next(device, executable, &n, found);
  for (uint32_t i = 0; i < n; i++) {
    fprintf(statistics, "%s: %llu\n", found[i].name, (unsigned long long)found[i].value.u64);
  }
  free(found);
}

static void write_assembly(VkDevice device, const VkPipelineExecutableInfoKHR *executable) {
  PFN_vkGetPipelineExecutableInternalRepresentationsKHR next =
    (void *)next_device(device, "vkGetPipelineExecutableInternalRepresentationsKHR");
  uint32_t n = 0;
  next(device, executable, &n, NULL);
  VkPipelineExecutableInternalRepresentationKHR *found = calloc(n, sizeof *found);
  for (uint32_t i = 0; i < n; i++) {
    found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
  }
  next(device, executable, &n, found);
  for (uint32_t i = 0; i < n; i++) found[i].pData = calloc(1, found[i].dataSize + 1);
  next(device, executable, &n, found);
  for (uint32_t i = 0; i < n; i++) {
    if (!strcmp(found[i].name, "Assembly")) fprintf(statistics, "%s\n", (char *)found[i].pData);
    free(found[i].pData);
  }
  free(found);
}

// wgpu names a pipeline as soon as it has one.
static VKAPI_ATTR VkResult VKAPI_CALL name_object(VkDevice device, const VkDebugUtilsObjectNameInfoEXT *info) {
  if (info->objectType != VK_OBJECT_TYPE_PIPELINE) return VK_SUCCESS;
  VkPipeline pipeline = (VkPipeline)info->objectHandle;
  pthread_mutex_lock(&mutex);
  int number = number_of(pipeline);
  if (number >= 0 && trace) fprintf(trace, "P %d %.6f %s\n", number, compiled[number].compiled_in, info->pObjectName);
  if (number >= 0 && statistics) {
    VkPipelineExecutableInfoKHR executable = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, NULL, pipeline, 0};
    fprintf(statistics, "@ %s\n", info->pObjectName);
    write_numbers(device, &executable);
    write_assembly(device, &executable);
  }
  pthread_mutex_unlock(&mutex);
  return VK_SUCCESS;
}

// ---- Commands: noted, not recorded. One thread records at a time.

static int bound;

static VKAPI_ATTR void VKAPI_CALL bind(VkCommandBuffer commands, VkPipelineBindPoint point, VkPipeline pipeline) {
  pthread_mutex_lock(&mutex);
  bound = number_of(pipeline);
  pthread_mutex_unlock(&mutex);
}

static VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z) {
  TRACE("D %d %u %u %u\n", bound, x, y, z);
}

static VKAPI_ATTR void VKAPI_CALL dispatch_indirect(VkCommandBuffer commands, VkBuffer buffer, VkDeviceSize offset) {
  TRACE("I %d\n", bound);
}

static VKAPI_ATTR void VKAPI_CALL barrier(void) { TRACE("B\n"); }

static VKAPI_ATTR void VKAPI_CALL copy(void) { TRACE("C\n"); }

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence) {
  TRACE("S %.6f\n", seconds(CLOCK_MONOTONIC));
  return VK_SUCCESS;
}

// In the place of functions of any parameters: with the usual conventions, callers clean up what they passed.
static VKAPI_ATTR VkResult VKAPI_CALL nothing(void) { return VK_SUCCESS; }

// A fence or a semaphore.
static VKAPI_ATTR VkResult VKAPI_CALL create_handle(VkDevice device, const void *info,
                                                    const VkAllocationCallbacks *allocator, uint64_t *out) {
  static uint64_t last = 0x1000;
  *out = __atomic_add_fetch(&last, 16, __ATOMIC_RELAXED);
  return VK_SUCCESS;
}

// ---- Who answers for what

static const struct {
  const char *name;
  void *function;
} OWN[] = {
  {"vkGetPhysicalDeviceMemoryProperties", memory_of},
  {"vkGetPhysicalDeviceMemoryProperties2", memory_of2},
  {"vkGetPhysicalDeviceMemoryProperties2KHR", memory_of2},
  {"vkGetBufferMemoryRequirements", buffer_needs},
  {"vkGetImageMemoryRequirements", image_needs},
  {"vkCreateComputePipelines", create_pipelines},
  {"vkSetDebugUtilsObjectNameEXT", name_object},
  {"vkCreateFence", create_handle},
  {"vkCreateSemaphore", create_handle},
  {"vkDestroyFence", nothing},
  {"vkDestroySemaphore", nothing},
  {"vkResetFences", nothing},
  {"vkWaitForFences", nothing},
  {"vkGetFenceStatus", nothing},
  {"vkDeviceWaitIdle", nothing},
  {"vkQueueWaitIdle", nothing},
  {"vkQueueSubmit", submit},
  {"vkBeginCommandBuffer", nothing},
  {"vkEndCommandBuffer", nothing},
  {"vkResetCommandBuffer", nothing},
  {"vkResetCommandPool", nothing},
  {"vkGetQueryPoolResults", nothing},
  {"vkCmdBindPipeline", bind},
  {"vkCmdDispatch", dispatch},
  {"vkCmdDispatchIndirect", dispatch_indirect},
  {"vkCmdPipelineBarrier", barrier},
  {"vkCmdPipelineBarrier2", barrier},
  {"vkCmdCopyBuffer", copy},
  {"vkCmdFillBuffer", copy},
};

static PFN_vkVoidFunction own(const char *name) {
  for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++) {
    if (!strcmp(name, OWN[i].name)) return (PFN_vkVoidFunction)OWN[i].function;
  }
  return strncmp(name, "vkCmd", 5) ? NULL : (PFN_vkVoidFunction)nothing;
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetDeviceProcAddr(VkDevice device, const char *name) {
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
  PFN_vkVoidFunction function = own(name);
  return function ? function : next_device(device, name);
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance of, const char *name) {
  if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
  if (!strcmp(name, "vkCreateInstance")) return (PFN_vkVoidFunction)create_instance;
  if (!strcmp(name, "vkCreateDevice")) return (PFN_vkVoidFunction)create_device;
  if (!strcmp(name, "vkEnumerateDeviceExtensionProperties")) return (PFN_vkVoidFunction)extensions;
  PFN_vkVoidFunction function = own(name);
  return function ? function : next_instance(of, name);
}
