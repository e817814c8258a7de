# gpu-subset on the software driver (lavapipe): docker build -t gpu-subset . && docker run --rm gpu-subset train
# A GPU of AMD or Intel: docker run --device /dev/dri … ; one of NVIDIA: docker run --gpus all -e
# NVIDIA_DRIVER_CAPABILITIES=graphics,compute … , with NVIDIA's container toolkit.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# docker build --build-arg GPU_SUBSET_COMMIT=$(git rev-parse HEAD): what --version --verbose says
ARG GPU_SUBSET_COMMIT
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/gpu-subset /usr/local/bin/
ENV NODEVICE_SELECT=1
WORKDIR /work
ENTRYPOINT ["gpu-subset"]
