"""Three ways to launch the steps of Adam in PyTorch, for adam_baseline.py: each makes, of a network, training images
and labels, a function that trains by so many steps, given the examples of each [steps][batch] and its learning rate."""
import torch
import torch.nn.functional as F


def optimizer(net, options, **more):
    if options.device.startswith("cuda"):
        more["fused"] = True  # the whole update is one kernel
    return torch.optim.Adam(net.parameters(), options.rate, weight_decay=options.weight_decay, **more)


def eager(net, images, labels, options, loss=None):
    """Every operation is launched by itself."""
    loss = loss or (lambda x, y: F.cross_entropy(net(x), y))

    def train(batches, rates):
        adam = optimizer(net, options)
        for batch, rate in zip(batches, rates):
            adam.param_groups[0]["lr"] = rate
            adam.zero_grad(set_to_none=True)
            loss(images[batch], labels[batch]).backward()
            adam.step()

    return train


def compiled(net, images, labels, options):
    """Loss and gradient are compiled once, for all seeds; with the first one."""
    loss = lambda x, y: F.cross_entropy(net(x), y)
    return eager(net, images, labels, options, torch.compile(loss, mode="reduce-overhead"))


# Steps before a CUDA graph is recorded: its allocations and choices of algorithms are no part of the graph.
WARM_UP = 3


def graphs(net, images, labels, options):
    """A whole step is one CUDA graph: the choice of examples, the gradient and the update; the host only replays it. It
    is recorded once, for all seeds; with the first one."""
    adam = optimizer(net, options, capturable=True)
    rate = torch.zeros((), device=options.device)
    at = torch.zeros(1, dtype=torch.long, device=options.device)
    adam.param_groups[0]["lr"] = rate
    recorded = []

    def record(batches, rates):
        def step():
            batch = batches.index_select(0, at)[0]
            rate.copy_(rates.index_select(0, at)[0])
            F.cross_entropy(net(images[batch]), labels[batch]).backward()
            adam.step()
            at.add_(1)

        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                adam.zero_grad(set_to_none=True)
                step()
                at.zero_()
        torch.cuda.current_stream().wait_stream(side)
        adam.zero_grad(set_to_none=True)  # so that the graph makes gradients instead of adding to them
        with torch.cuda.graph(graph):
            step()
        return graph, batches, rates

    def train(batches, rates):
        rates = torch.tensor(rates, device=options.device)
        if not recorded:
            start = [weights.detach().clone() for weights in net.parameters()]
            recorded.extend(record(batches.clone(), rates.clone()))
            with torch.no_grad():
                for weights, of_start in zip(net.parameters(), start):
                    weights.copy_(of_start)
        graph, all_batches, all_rates = recorded
        all_batches.copy_(batches)
        all_rates.copy_(rates)
        for state in (at, *(tensor for of_layer in adam.state.values() for tensor in of_layer.values())):
            state.zero_()
        for _ in range(len(rates)):
            graph.replay()

    return train


MODES = {"eager": eager, "graphs": graphs, "compile": compiled}
