"""A U-Net of two levels finds cells among scratches; binary masks, Dice as the score."""
import sys
import torch
from torch import nn
import torch.nn.functional as F

SIZE = 24


def pictures(count):
    grid = torch.arange(SIZE).float()
    yy, xx = torch.meshgrid(grid, grid, indexing="ij")
    image = torch.zeros(count, SIZE, SIZE)
    mask = torch.zeros(count, SIZE, SIZE)
    for i in range(count):
        for _ in range(int(torch.randint(1, 4, (1,)))):
            cy, cx = torch.randint(4, SIZE - 4, (2,))
            radius = 2 + 2 * torch.rand(1)
            inside = (yy - cy) ** 2 + (xx - cx) ** 2 < radius**2
            image[i][inside] = 0.6 + 0.3 * torch.rand(1)
            mask[i][inside] = 1
        row = torch.randint(SIZE, (1,))
        image[i, row] += 0.7
    return (image + 0.15 * torch.randn_like(image))[:, None], mask[:, None]


def block(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(), nn.Conv2d(c_out, c_out, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = block(1, 8), block(8, 16)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.merge = block(16, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        return self.out(self.merge(torch.cat([a, self.up(b)], dim=1)))


def main():
    torch.manual_seed(int(sys.argv[1]))
    train_x, train_y = pictures(240)
    test_x, test_y = pictures(80)
    net = UNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for epoch in range(12):
        net.train()
        for rows in torch.randperm(len(train_x)).split(16):
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(net(train_x[rows]), train_y[rows])
            loss.backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        found = (net(test_x) > 0).float()
    dice = 2 * (found * test_y).sum() / (found.sum() + test_y.sum())
    print("score", dice.item())


if __name__ == "__main__":
    main()
