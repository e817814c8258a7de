"""A bar that follows a run."""

import sys


class Progress:
    """A bar of tqdm, in notebooks and terminals alike; without tqdm a line on stderr for each tenth."""

    def __init__(self):
        self.bar, self.tenths = None, -1

    def __enter__(self):
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return self
        self.bar = tqdm(total=100, bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}")
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()

    def __call__(self, step):
        """Show a step, a dict with `progress` from 0 to 1, `loss` and `cost_epochs`."""
        text = f"loss {step['loss']:.4f}, {step['cost_epochs']:.2f} epochs"
        if self.bar is not None:
            self.bar.update(round(100 * step["progress"]) - self.bar.n)
            self.bar.set_postfix_str(text)
        elif (tenths := int(10 * step["progress"])) > self.tenths:
            self.tenths = tenths
            print(f"{10 * tenths}%: {text}", file=sys.stderr)
