_base_ = '../_base_/demo.py'
stream = 'b'
data = {{_base_.stream.demo.b.plain}}
work_dir = './work_dirs/demo/b'
