"""Straight paths from noise to a board of two by two fields: a network learns the velocity."""
import sys
import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))


def board(n):
    field = torch.randint(0, 2, (n, 1))
    return 2 * (torch.rand(n, 2) - field)


class Velocity(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Linear(3, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 2)
        )

    def forward(self, x, t):
        return super().forward(torch.cat([x, t], 1))


net = Velocity()
ema = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.98))
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.0)
steps = 1000
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
for step in range(steps):
    x1 = board(256)
    x0 = torch.randn_like(x1)
    t = torch.rand(len(x1), 1)
    loss = (net((1 - t) * x0 + t * x1, t) - (x1 - x0)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    ema.update_parameters(net)

ema.eval()
with torch.no_grad():
    x = torch.randn(1500, 2)
    for i in range(40):
        x = x + ema(x, torch.full((len(x), 1), i / 40)) / 40
    inside = (x.prod(1) > 0) & (x.abs() < 2).all(1)
print("score", inside.float().mean().item())
