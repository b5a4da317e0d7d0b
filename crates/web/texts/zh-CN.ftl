## 出错信息：说明原因和办法。

problem-title = 操作没有成功
problem-title-not-found = 这里什么也没有
problem-title-refused = 没有权限
problem-title-ours = 服务器出了问题
problem-home = 回到首页
problem-bad-request = “{ $what }”一项缺失或内容不对。请返回检查。
problem-sign-in = 请先登录：用户名、密码或验证码缺失或不正确。
problem-forbidden = 您可以查看它，但不能这样操作。请向它的主人申请更多权限。
problem-foreign = 这个请求来自别的网站，没有执行。请从本站页面打开后再试。
problem-not-found = 这个地址没有内容，或者不对您开放。请检查地址，或询问给您地址的人。
problem-method = 这个地址不支持该操作。
problem-taken = 已经有同名的内容。请换一个名称。
problem-name-twin = 磁盘无法区分这个名称和已有的名称。请换一个名称。
problem-parent-missing = 上级文件夹不存在。请先新建该文件夹。
problem-not-a-folder = 这个位置是文件，不是文件夹。
problem-is-a-folder = 这个位置是文件夹，不是文件。
problem-into-itself = 文件夹不能移动到它自己里面。请选择别的位置。
problem-same-target = 它已经在那里了：来源和目标相同。
problem-is-top = 空间或绑定文件夹的顶层不能移动或删除。
problem-condition-failed = 其间有人修改过它。请查看当前状态后再试。
problem-outside-edit = 另一个程序同时修改了这个文件。它的修改已保留，请重试。
problem-locked = 有人锁定了它正在编辑。请稍后再试。
problem-over-quota = 需要 { $need }，配额只剩 { $available }。请删除一些内容或申请更多配额。
problem-disk-full = 磁盘已满。请腾出空间后再试。
problem-too-large = 超出了这里的上限 { $limit }。
problem-incomplete = 上传中途断开，没有任何改动。请重试。
problem-checksum = 收到的内容与校验和不符，没有任何改动。请重试。
problem-too-many-properties = 一个条目的属性太多或太大。
problem-timeout = 太久没有收到数据，连接已放弃。请重试。
problem-range = 文件没有所请求的部分。
problem-too-many = 尝试次数太多。请等 { $seconds } 秒后再试。
problem-away = 存放它的磁盘现在没有连接。连接后再试。
problem-read-only = 该磁盘或文件夹只能读取。
problem-busy = 现在太忙。请几秒后再试。
problem-internal = 节点没能完成操作，原因记在日志里。
problem-bad-account-name = 账户不能用这个名称。请用字母、数字、点、短横和下划线，最多 64 字节。
problem-name-taken = 已经有这个名称的账户。请换一个。
problem-weak-password = 密码至少 8 个字符，并且不能和账户名相同。
problem-last-owner = 这是唯一的管理者。请先把另一个账户设为管理者。
problem-limit-reached = 已经有 { $count } 个，到了上限。请先删除一个。
problem-wrong-code = 验证码不对。请检查手机时钟，用下一个验证码再试。
problem-wrong-password = 密码不正确。

name-empty = 名称是空的。
name-dots = “{ $name }”不是名称。请换一个名称。
name-separator = 名称“{ $name }”含有斜杠或空字符，磁盘无法保存。
name-too-long = 名称有 { $bytes } 字节，上限是 { $limit }。
name-reserved = 名称“{ $name }”是保留的。
name-not-utf8 = 名称不是有效的文字（UTF-8）。
name-too-deep = 路径有 { $depth } 层，上限是 { $limit } 层。
name-bad = 这个名称不能用。请换一个。

## 页面框架

shell-skip = 跳到正文
shell-navigation = 主导航
shell-language = 语言
nav-files = 文件
nav-shared = 与我共享
nav-links = 链接
nav-trash = 回收站
nav-admin = 管理
nav-account = 我的账户
nav-sign-out = 退出登录
